/** Owns: the customers' segments as of the last import, in an SQLite table. */
interface Statement {
  run(...values: readonly unknown[]): unknown;
  get(...values: readonly unknown[]): unknown;
}

interface Database {
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
  close(): unknown;
}

/** A customer as of the last import with an answer. */
export interface ImportedCustomer {
  readonly id: string;
  /** Names of segments. */
  readonly segments: readonly string[];
  readonly importedAt: Date;
}

export interface CrmStore {
  save(id: string, segments: readonly string[], importedAt: Date): void;
  find(id: string): ImportedCustomer | undefined;
  /** Commits what `run` saves, or nothing if it fails. */
  transaction<T>(run: () => Promise<T>): Promise<T>;
  close(): void;
}

/** Node's own SQLite, from Node 22.13 on, else the package `better-sqlite3`. */
function openDatabase(path: string): Database {
  const sqlite = process.getBuiltinModule('node:sqlite') as
    | { DatabaseSync: new (path: string) => Database }
    | undefined;
  if (sqlite !== undefined) return new sqlite.DatabaseSync(path);
  try {
    const BetterSqlite3 = require('better-sqlite3') as new (path: string) => Database;
    return new BetterSqlite3(path);
  } catch {
    throw new Error(`Node ${process.versions.node} has no built-in SQLite. Run: npm install --no-save better-sqlite3`);
  }
}

/** @throws {Error} without SQLite; the message says how to install it */
export function openStore(path: string): CrmStore {
  const database = openDatabase(path);
  database.exec(`CREATE TABLE IF NOT EXISTS customers (
    id TEXT PRIMARY KEY,
    segments TEXT NOT NULL,
    imported_at_ms INTEGER NOT NULL
  )`);
  const upsert = database.prepare(
    `INSERT INTO customers (id, segments, imported_at_ms) VALUES (?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET segments = excluded.segments, imported_at_ms = excluded.imported_at_ms`,
  );
  const select = database.prepare('SELECT id, segments, imported_at_ms FROM customers WHERE id = ?');
  return {
    save(id, segments, importedAt) {
      upsert.run(id, JSON.stringify(segments), importedAt.getTime());
    },
    find(id) {
      const row = select.get(id) as { id: string; segments: string; imported_at_ms: number } | undefined;
      return row && { id: row.id, segments: JSON.parse(row.segments), importedAt: new Date(row.imported_at_ms) };
    },
    async transaction(run) {
      database.exec('BEGIN');
      try {
        const result = await run();
        database.exec('COMMIT');
        return result;
      } catch (error) {
        database.exec('ROLLBACK');
        throw error;
      }
    },
    close() {
      database.close();
    },
  };
}
