// One conversation: smtp-server's connection, with a prompt greeting, a stricter clock and a way to end it. RFC 5321 §4.5.3.2
import { SMTPConnection } from 'smtp-server/lib/smtp-connection';
import type { Mailbox } from '../../pec/values.ts';
import type { Reply } from '../../points/custody.ts';

/** smtp-server greets after 100 ms, announces AUTH in the clear, and a byte now and then keeps its clock from running out. */
export class Connection extends SMTPConnection {
  readonly gone = new AbortController();
  from: Mailbox | null = null;
  /** In RCPT order, by mailboxKey: smtp-server's own list lets the second spelling of a recipient replace the first. */
  readonly to = new Map<string, Mailbox>();
  #clock: NodeJS.Timeout | undefined;

  get busy(): boolean {
    return this._handlerPending || Boolean(this._dataStream);
  }

  override init(): void {
    const { socketTimeout = 60_000, maxClients = Infinity } = this._server.options;
    this.#clock = setTimeout(() => this.#tooSlow(), socketTimeout);
    this._setListeners(() => {
      if (this._server.connections.size > maxClients) this.send(421, '4.3.2 Too many connections, try again');
      else this.connectionReady();
    });
  }

  /** Every reply starts the time for the next command. Our own texts bring their enhanced status along. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    this.#clock?.refresh();
    if (Array.isArray(data)) {
      const announced = data.filter(line => this.secure || !line.startsWith('AUTH '));
      super.send(code, announced, context);
    } else {
      super.send(code, data, /^[245]\.\d+\.\d+ /.test(data ?? '') ? false : context);
    }
  }

  /** Ends the conversation with a last reply, in the midst of DATA if need be. */
  cut({ code, text }: Reply): void {
    const reason = new Error(text);
    this.gone.abort(reason);
    this.send(code, text);
    this.close();
    if (this._dataStream) this._dataStream.destroy(reason);
  }

  /** Ends the conversation without a word. A raw socket must not be destroyed below a TLS handshake. */
  drop(): void {
    this.gone.abort(new Error('closing'));
    if (this._upgrading) this.close();
    else this._socket.destroy();
  }

  #tooSlow(): void {
    if (this.busy) this.#clock?.refresh();
    else this.send(421, '4.4.2 Waited too long for a command');
  }

  override _onClose(): void {
    clearTimeout(this.#clock);
    this.gone.abort(new Error('the peer is gone'));
    super._onClose();
  }
}
