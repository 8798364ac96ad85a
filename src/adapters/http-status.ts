// Metrics and health over HTTP: /metrics (Prometheus), /healthz (the process lives), /readyz (it takes mail)
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface StatusServer extends AsyncDisposable {
  readonly port: number;
}

/** Listens on `address`; rejects if it cannot. `isReady` answers for /readyz: 200 or 503. */
export async function serveStatus(
  address: { readonly address: string; readonly port: number },
  registry: Registry,
  isReady: () => boolean,
): Promise<StatusServer> {
  const server = createServer(async ({ method, url }, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(body);
    if (method !== 'GET' && method !== 'HEAD') answer(405, 'GET only\n');
    else if (url === '/healthz') answer(200, 'alive\n');
    else if (url === '/readyz') isReady() ? answer(200, 'ready\n') : answer(503, 'not ready\n');
    else if (url === '/metrics') answer(200, await registry.metrics(), registry.contentType);
    else answer(404, 'there are /metrics, /healthz and /readyz\n');
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(address.port, address.address, resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise(closed => server.close(closed));
    },
  };
}
