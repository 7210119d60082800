/** Keeps the site alone on its core: load and DCS share the first one. */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';

const LOAD_CORE = 0;
const SITE_CORE = 1;

/** Moves this process to the core of the load. What it starts from now on will be there, too. */
export function moveToLoadCore(): void {
  if (!move(process.pid, LOAD_CORE)) console.log('One core, or no taskset: the site shares its core with the load.');
}

/** Moves a process to the core of the site. */
export function moveToSiteCore(pid: number): void {
  move(pid, SITE_CORE);
}

/** Moves all threads of a process. */
function move(pid: number, core: number): boolean {
  return cpus().length > 1 && spawnSync('taskset', ['-a', '-c', '-p', String(core), String(pid)]).status === 0;
}
