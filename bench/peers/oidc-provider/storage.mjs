// What oidc-provider keeps, on PostgreSQL: a row for each thing, under its kind and its id. Prepared statements.

import pg from 'pg';

const POOL = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.CONNECTIONS ?? 4) });

// Members by which a thing is found, beside its own name. Partial, as most things have neither.
const TABLE = `
  CREATE TABLE IF NOT EXISTS thing (
    name text PRIMARY KEY,
    members json NOT NULL,
    grant_id text,
    uid text,
    user_code text,
    ends_at timestamptz,
    spent_at bigint
  );
  CREATE INDEX IF NOT EXISTS thing_grant ON thing (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS thing_uid ON thing (uid) WHERE uid IS NOT NULL;
  CREATE INDEX IF NOT EXISTS thing_user_code ON thing (user_code) WHERE user_code IS NOT NULL;
`;

export async function makeTable() {
  await POOL.query(TABLE);
}

const run = (name, text, values) => POOL.query({ name, text, values });

async function one(column, value) {
  const text = `SELECT members, spent_at FROM thing WHERE ${column} = $1 AND (ends_at IS NULL OR ends_at > now())`;
  const { rows: [row] } = await run(`by_${column}`, text, [value]);
  if (row === undefined) return undefined;
  // pg hands a bigint over as text. A thing that was used says so by a member.
  return row.spent_at === null ? row.members : { ...row.members, consumed: Number(row.spent_at) };
}

export class Storage {
  #kind;

  constructor(kind) {
    this.#kind = kind;
  }

  #name(id) {
    return `${this.#kind}:${id}`;
  }

  async upsert(id, members, seconds) {
    const text = `
      INSERT INTO thing (name, members, grant_id, uid, user_code, ends_at)
      VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
      ON CONFLICT (name) DO UPDATE SET members = excluded.members, ends_at = excluded.ends_at`;
    const { grantId = null, uid = null, userCode = null } = members;
    await run('keep', text, [this.#name(id), members, grantId, uid, userCode, seconds ?? null]);
  }

  find(id) {
    return one('name', this.#name(id));
  }

  findByUid(uid) {
    return one('uid', uid);
  }

  findByUserCode(userCode) {
    return one('user_code', userCode);
  }

  async consume(id) {
    await run('spend', 'UPDATE thing SET spent_at = extract(epoch FROM now())::bigint WHERE name = $1', [this.#name(id)]);
  }

  async destroy(id) {
    await run('forget', 'DELETE FROM thing WHERE name = $1', [this.#name(id)]);
  }

  async revokeByGrantId(grantId) {
    await run('revoke', 'DELETE FROM thing WHERE grant_id = $1', [grantId]);
  }
}
