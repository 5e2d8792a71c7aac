// node-oidc-provider with the client and the people of the benchmark, on WORKERS processes.
//
// SITE is a JSON file: issuer, port, client (client_id, client_secret, redirect_uris), people (user name to password),
// jwk (a private RSA key), cookie_key, scrypt_n (the work factor of password hashes).

import cluster from 'node:cluster';
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { promisify } from 'node:util';

import Provider from 'oidc-provider';

import { makeTable, Storage } from './storage.mjs';

const SITE = JSON.parse(readFileSync(process.env.SITE, 'utf8'));
const SCOPE = 'openid profile email';
const derive = promisify(scrypt);
const hash = (password, salt) => derive(password, salt, 32, { N: SITE.scrypt_n, r: 8, p: 1, maxmem: 2 ** 26 });

if (cluster.isPrimary) {
  await makeTable();
  for (let number = 0; number < Number(process.env.WORKERS ?? 2); number += 1) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  await serve();
}

async function hashedPeople() {
  const hashed = new Map();
  for (const [name, password] of Object.entries(SITE.people)) {
    const salt = randomBytes(16);
    hashed.set(name, { salt, digest: await hash(password, salt) });
  }
  return hashed;
}

// The benchmark's application is asked for no consent, at Monban neither.
async function grantOf(ctx) {
  const { client, session, provider } = ctx.oidc;
  const known = session.grantIdFor(client.clientId);
  if (known) return provider.Grant.find(known);
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(SCOPE);
  await grant.save();
  return grant;
}

function claimsOf(name) {
  return { sub: name, name: 'Alice Anderson', email: `${name}@example.org`, email_verified: false };
}

async function serve() {
  const people = await hashedPeople();
  const provider = new Provider(SITE.issuer, {
    adapter: Storage,
    clients: [{
      ...SITE.client,
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    }],
    jwks: { keys: [SITE.jwk] },
    cookies: { keys: [SITE.cookie_key] },
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
    },
    // As long as Monban's, so that neither purges nor refuses within a run.
    ttl: {
      AccessToken: 3600, AuthorizationCode: 60, ClientCredentials: 3600, Grant: 86400, IdToken: 3600,
      Interaction: 3600, RefreshToken: 86400, Session: 86400,
    },
    findAccount: (ctx, name) => ({ accountId: name, claims: () => claimsOf(name) }),
    interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
    loadExistingGrant: grantOf,
    issueRefreshToken: () => true,
    rotateRefreshToken: () => true,
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  const answer = provider.callback();

  async function signIn(request, response) {
    await provider.interactionDetails(request, response);
    if (request.method === 'POST') {
      const parts = [];
      for await (const part of request) parts.push(part);
      const form = new URLSearchParams(Buffer.concat(parts).toString());
      const known = people.get(form.get('identifier'));
      if (known && timingSafeEqual(await hash(form.get('password') ?? '', known.salt), known.digest)) {
        const result = { login: { accountId: form.get('identifier') } };
        await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
        return;
      }
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    response.end(`<!doctype html>
<html lang="en"><title>Sign in</title>
<form method="post">
<label>User name <input name="identifier"></label>
<label>Password <input name="password" type="password"></label>
<button>Sign in</button>
</form></html>`);
  }

  const server = createServer((request, response) => {
    if (!request.url.startsWith('/sign-in/')) {
      answer(request, response);
      return;
    }
    signIn(request, response).catch((error) => {
      console.error(error);
      response.writeHead(400).end();
    });
  });
  server.keepAliveTimeout = 75_000;
  server.listen(SITE.port, '127.0.0.1');
}
