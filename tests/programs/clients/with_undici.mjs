// undici, the HTTP client of Node: a fetch through its ProxyAgent.
// Arguments: where undici is, the URL of the proxy, 'name:password', 'tunnel' or 'forward', the URL, the authority.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [folder, uri, signIn, way, url, authority] = process.argv.slice(2);
const { ProxyAgent, fetch } = createRequire(folder + '/')('undici');
const dispatcher = new ProxyAgent({
  uri,
  token: 'Basic ' + Buffer.from(signIn, 'utf8').toString('base64'),
  proxyTunnel: way === 'tunnel',
  requestTls: { ca: readFileSync(authority) },
});
const answer = await fetch(url, { dispatcher });
console.log(answer.status, await answer.text());
await dispatcher.close();
