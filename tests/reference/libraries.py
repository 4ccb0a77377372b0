"""Real queue libraries on a database of the tests: each verb sees some jobs through, and fails if one does not end as it must.

    libraries.py celery DATABASE BROKER    two tasks that end well, one that fails
    libraries.py procrastinate DATABASE    the same; one more waits for next year
"""
import asyncio
import sys


def run_celery(database, broker):
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    app = Celery("tests", broker=broker, backend=database.replace("postgresql://", "db+postgresql+psycopg2://"))
    app.conf.update(result_extended=True, task_default_queue="mail", broker_connection_retry_on_startup=True)

    @app.task(name="shop.add")
    def add(one, other):
        return one + other

    @app.task(name="shop.fail")
    def fail():
        raise ValueError("no such address")

    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        assert add.delay(2, 3).get(timeout=30) == 5
        assert add.delay(20, 30).get(timeout=30) == 50
        failed = fail.delay()
        failed.get(timeout=30, propagate=False)
        assert failed.state == "FAILURE", failed.state


async def run_procrastinate(database):
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database))
    done = []

    @app.task(name="shop.add", queue="mail")
    async def add(one, other):
        done.append(one + other)

    @app.task(name="shop.fail", queue="mail")
    async def fail():
        raise ValueError("no such address")

    async with app.open_async():
        if not await app.connector.execute_query_one_async("SELECT to_regclass('procrastinate_jobs') IS NOT NULL AS there") == {"there": True}:
            await app.schema_manager.apply_schema_async()
            await add.configure(schedule_in={"days": 365}).defer_async(one=1, other=1)
        await add.defer_async(one=2, other=3)
        await add.defer_async(one=20, other=30)
        await fail.defer_async()
        await app.run_worker_async(wait=False, install_signal_handlers=False)
    assert sorted(done) == [5, 50], done


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    if verb == "celery":
        run_celery(*arguments)
    else:
        asyncio.run(run_procrastinate(*arguments))
    print("seen through")
