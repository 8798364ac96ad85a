#!/usr/bin/env -S node --max-semi-space-size=2
// The command line: verbs, options, and the one place where an error becomes an exit code
// The flag of the first line keeps the young heap small (MB): it is garbage of passing messages, not the messages, that fills memory.
import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { exitCodes, failure, UsageError } from './commands/exit-codes.ts';

const DEFAULT_CONFIG = '/etc/pecd/pecd.yaml';

// Handlers import what they need themselves, so that `pecd config example` does not load a mail server.
const commandLine = yargs(process.argv.slice(2))
  .scriptName('pecd')
  .parserConfiguration({ 'boolean-negation': false, 'camel-case-expansion': false })
  .usage('$0 <verb> [options]\n\nCertified mail (PEC, RFC 6109) for the mail server you already have')
  .option('config', {
    alias: 'c',
    ...oneText('config'),
    describe: 'Configuration file',
    defaultDescription: DEFAULT_CONFIG,
  })
  .command(
    'run',
    'Run the daemon',
    verb => verb,
    async ({ config = DEFAULT_CONFIG }) => {
      const [{ runDaemon }, { startApp }] = await Promise.all([
        import('./commands/run.ts'),
        import('./app.ts'),
      ]);
      await runDaemon(config, startApp);
    },
  )
  .command(
    'check',
    'Try what the configuration says',
    verb => json(verb),
    async ({ config = DEFAULT_CONFIG, ...args }) => {
      const { check } = await import('./commands/check.ts');
      const { output, exitCode } = await check({ file: config, json: args.json });
      process.stdout.write(output);
      process.exitCode = exitCode;
    },
  )
  .command('config', 'Print the example file or the JSON Schema of the configuration', verb =>
    verb
      .command('example', 'The commented example file', {}, async () => {
        const { exampleYaml } = await import('./config/reference.ts');
        process.stdout.write(exampleYaml());
      })
      .command('schema', 'The JSON Schema, for editors', {}, async () => {
        const { jsonSchema } = await import('./config/reference.ts');
        process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
      })
      .demandCommand(1, 1, 'config what? example or schema'),
  )
  .command(
    'wrap <file>',
    'Print the signed transport envelope of a message',
    verb =>
      file(verb)
        .option('from', { ...oneText('from'), demandOption: true, describe: 'Reverse path' })
        .option('to', {
          type: 'string',
          array: true,
          requiresArg: true,
          demandOption: true,
          describe: 'Recipients',
        }),
    async ({ config = DEFAULT_CONFIG, ...args }) => {
      const { wrap } = await import('./commands/wrap.ts');
      process.exitCode = await wrap({
        config: await load(config),
        file: args.file,
        from: args.from,
        to: args.to,
      });
    },
  )
  .command(
    'verify <file>',
    'Say what a received message is',
    verb =>
      json(file(verb))
        .option('at', { ...oneText('at'), describe: 'When it arrived, in ISO 8601: now unless given' })
        .option('trust', {
          ...oneText('trust'),
          describe: 'Anchors (PEM) instead of those of the configuration',
        })
        .option('directory', { ...oneText('directory'), describe: 'Provider directory (LDIF), likewise' }),
    async args => {
      const { verify } = await import('./commands/verify.ts');
      const { file: name, at, trust, directory } = args;
      // Anchors and directory are all that it needs: with both at hand no configuration is read, unless one is named.
      const needsConfig = args.config !== undefined || trust === undefined || directory === undefined;
      process.exitCode = await verify({
        file: name,
        json: args.json,
        ...(needsConfig && { config: await load(args.config ?? DEFAULT_CONFIG) }),
        ...(at !== undefined && { at }),
        ...(trust !== undefined && { trust }),
        ...(directory !== undefined && { directory }),
      });
    },
  )
  .command('mailbox', 'Which mailboxes take ordinary mail', verb =>
    verb
      .command(
        'list',
        'The mailboxes whose holders chose',
        verb => json(verb),
        async ({ config = DEFAULT_CONFIG, ...args }) => {
          const { listMailboxes } = await import('./commands/mailbox.ts');
          process.stdout.write(await listMailboxes({ file: config, json: args.json }));
        },
      )
      .command(
        'show <address>',
        'Whether it takes ordinary mail',
        verb => addressed(verb),
        args => changeMailbox('show', args),
      )
      .command(
        'open <address>',
        'Let it take ordinary mail',
        verb => addressed(verb),
        args => changeMailbox('open', args),
      )
      .command(
        'close <address>',
        'Let it take certified mail only',
        verb => addressed(verb),
        args => changeMailbox('close', args),
      )
      .demandCommand(1, 1, 'mailbox what? list, show, open or close'),
  )
  .command('queue', 'What is owed, and what could not be sent', verb =>
    verb
      .command(['list', '$0'], 'What is owed, and when it is due', json, args => showQueue('owed', args))
      .command('failed', 'What is not tried any more, and why', json, args => showQueue('failed', args))
      .command(
        'retry <id>',
        'Try a failed one again',
        one => json(one).positional('id', { type: 'string', demandOption: true, describe: 'As listed' }),
        async ({ config = DEFAULT_CONFIG, ...args }) => {
          const { retryDebt } = await import('./commands/queue.ts');
          process.stdout.write(await retryDebt(args.id, { file: config, json: args.json }));
        },
      ),
  )
  .command(
    'track <id>',
    'What became of a message: the state of each recipient, and every event',
    verb =>
      json(verb).positional('id', {
        type: 'string',
        demandOption: true,
        describe: "Its PEC msgid, or the client's own Message-ID",
      }),
    async ({ config = DEFAULT_CONFIG, ...args }) => {
      const { track } = await import('./commands/track.ts');
      const { output, remarks, exitCode } = await track({ file: config, json: args.json, id: args.id });
      process.stdout.write(output);
      process.stderr.write(remarks.map(remark => `pecd: ${remark}\n`).join(''));
      process.exitCode = exitCode;
    },
  )
  .command(
    'demo',
    'Two providers on this machine, and a message from one to the other',
    verb =>
      json(verb)
        .option('out', { ...oneText('out'), describe: 'Directory for a copy of every delivered mail file' })
        .option('keep', {
          type: 'boolean',
          default: false,
          describe: 'Leave it running, and say how to connect a mail client',
        }),
    async ({ json: asJson, keep, out }) => {
      const { demo } = await import('./demo/demo.ts');
      process.exitCode = await demo({ json: asJson, keep, ...(out !== undefined && { out }) });
    },
  )
  .demandCommand(1, 'no verb: say what to do')
  .strict()
  .version(version())
  .epilogue(
    `Exit codes: ${exitCodes.good} good, ${exitCodes.notGood} the checked thing is not good, ${exitCodes.usage} bad usage, ` +
      `${exitCodes.unreachable} a service is unreachable, ${exitCodes.configuration} bad configuration.`,
  )
  .wrap(100)
  // Messages of this program are in English, whatever the locale: scripts and the manual quote them.
  .locale('en')
  .exitProcess(false)
  .fail((message, error) => {
    // A YError is yargs' own; anything else was thrown by a handler.
    if (error && error.name !== 'YError') throw error;
    throw new UsageError(`${error?.message ?? message} (pecd --help shows what there is)`);
  });

function json<T>(verb: Argv<T>) {
  return verb.option('json', {
    type: 'boolean',
    default: false,
    describe: 'One JSON document on standard output',
  });
}

function file<T>(verb: Argv<T>) {
  return verb.positional('file', { type: 'string', demandOption: true, describe: 'Message, as a mail file' });
}

function addressed<T>(verb: Argv<T>) {
  return json(verb).positional('address', { type: 'string', demandOption: true, describe: 'Mailbox' });
}

/** An option with exactly one value: yargs would make a list of two. */
function oneText(name: string) {
  return {
    type: 'string',
    requiresArg: true,
    coerce: (value: string | string[]) => {
      if (Array.isArray(value)) throw new Error(`--${name} given more than once`);
      return value;
    },
  } as const;
}

async function changeMailbox(
  verb: 'show' | 'open' | 'close',
  { config = DEFAULT_CONFIG, ...args }: { config: string | undefined; json: boolean; address: string },
): Promise<void> {
  const mailbox = await import('./commands/mailbox.ts');
  process.stdout.write(
    await mailbox.changeMailbox(verb, { file: config, json: args.json, address: args.address }),
  );
}

async function showQueue(
  which: 'owed' | 'failed',
  { config = DEFAULT_CONFIG, json: asJson }: { config?: string | undefined; json: boolean },
): Promise<void> {
  const { listDebts } = await import('./commands/queue.ts');
  process.stdout.write(await listDebts(which, { file: config, json: asJson }));
}

async function load(path: string) {
  const { loadConfig } = await import('./config/load.ts');
  return loadConfig(path);
}

function version(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (description as { version: string }).version;
}

try {
  await commandLine.parseAsync();
} catch (error) {
  const { exitCode, lines } = failure(error);
  process.exitCode = exitCode;
  process.stderr.write(`${lines.join('\n')}\n`);
}
