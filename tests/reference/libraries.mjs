// Real queue libraries on a database of the tests: each verb sees some jobs through, and fails if one does not end as it must.
//
//     libraries.mjs pg-boss FOLDER DATABASE            two jobs that end well, one that fails, one that waits
//     libraries.mjs graphile-worker FOLDER DATABASE    the same
//
// FOLDER is where the libraries are installed.
import assert from 'node:assert';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [verb, folder, database] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(createRequire(`${folder}/x.js`).resolve(name)));

async function runPgBoss() {
  const { PgBoss } = await load('pg-boss');
  const boss = new PgBoss({ connectionString: database, supervise: false, schedule: false });
  await boss.start();
  for (const queue of ['mail', 'file']) await boss.createQueue(queue);
  for (const queue of ['mail', 'file']) {
    const id = await boss.send(queue, { queue });
    const [job] = await boss.fetch(queue);
    assert.equal(job.id, id);
    await boss.complete(queue, id, { answer: 42 });
    assert.equal((await boss.getJobById(queue, id)).state, 'completed');
  }
  const id = await boss.send('mail', {}, { retryLimit: 0 });
  const [job] = await boss.fetch('mail');
  assert.equal(job.id, id);
  await boss.fail('mail', id, new TypeError('no such address'));
  assert.equal((await boss.getJobById('mail', id)).state, 'failed');
  await boss.send('mail', {}, { startAfter: 365 * 86400, singletonKey: 'waits' });
  await boss.stop({ graceful: false });
}

async function runGraphileWorker() {
  const { default: library } = await load('graphile-worker');
  const done = [];
  const taskList = {
    add: async ({ one, other }) => { done.push(one + other); },
    fail: async () => { throw new Error('no such address'); },
  };
  const quiet = new library.Logger(() => () => {});
  const options = { connectionString: database, taskList, logger: quiet };
  const utils = await library.makeWorkerUtils(options);
  await utils.migrate();
  await utils.addJob('add', { one: 2, other: 3 });
  await utils.addJob('add', { one: 20, other: 30 });
  await utils.addJob('fail', {}, { maxAttempts: 1 });
  await utils.addJob('add', { one: 1, other: 1 }, { runAt: new Date(Date.now() + 365 * 86400e3), jobKey: 'waits' });
  await library.runOnce(options);
  await utils.release();
  assert.deepEqual(done.sort((a, b) => a - b), [5, 50]);
}

await { 'pg-boss': runPgBoss, 'graphile-worker': runGraphileWorker }[verb]();
console.log('seen through');
process.exit(0);
