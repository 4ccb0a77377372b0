"""Real queue libraries on a database of the tests: each verb sees some jobs through, and fails if one does not end as it must.

    libraries.py celery DATABASE BROKER    two tasks that end well, one that fails
    libraries.py django DATABASE BROKER    the same within Django, and a chord of three; one is tried again for ever, one reports its progress
    libraries.py procrastinate DATABASE    the first three; one more waits for next year
"""
import asyncio
import sys
import time
from urllib.parse import urlsplit


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


def run_django(database, broker):
    import django
    from celery import Celery, chord
    from celery.contrib.testing.worker import start_worker
    from django.conf import settings
    from django.core.management import call_command

    url = urlsplit(database)
    if url.scheme == "sqlite":
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.path, "OPTIONS": {"timeout": 30}}
    else:
        database = {
            "ENGINE": "django.db.backends.postgresql", "NAME": url.path[1:], "USER": url.username, "HOST": url.hostname, "PORT": url.port,
            # The tests' server writes dates as few do, and the driver reads no other than these.
            "OPTIONS": {"options": "-c datestyle=ISO"},
        }
    # A zone of Django's own: what it stores is UTC all the same.
    settings.configure(
        INSTALLED_APPS=["django_celery_results"], DATABASES={"default": database}, USE_TZ=True, TIME_ZONE="Asia/Shanghai",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    call_command("migrate", verbosity=0)

    app = Celery("tests", broker=broker, backend="django-db")
    app.conf.update(
        result_extended=True, task_track_started=True, task_default_queue="mail", broker_connection_retry_on_startup=True,
        enable_utc=True, timezone="Asia/Shanghai",
    )

    @app.task(name="shop.add")
    def add(one, other):
        return one + other

    @app.task(name="shop.total")
    def total(numbers):
        return sum(numbers)

    @app.task(name="shop.fail")
    def fail():
        raise ValueError("no such address")

    @app.task(name="shop.again", bind=True)
    def again(self):
        raise self.retry(exc=KeyError("carrier"), countdown=86400)

    @app.task(name="shop.upload", bind=True, ignore_result=True)
    def upload(self):
        self.update_state(state="UPLOADING", meta={"percent": 40})

    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        assert add.delay(2, 3).get(timeout=30) == 5
        assert add.delay(20, 30).get(timeout=30) == 50
        failed = fail.delay()
        failed.get(timeout=30, propagate=False)
        assert failed.state == "FAILURE", failed.state
        group = chord([add.s(1, 1), add.s(2, 2)])(total.s())
        assert group.get(timeout=30) == 6
        group.parent.save()
        assert app.GroupResult.restore(group.parent.id).join(timeout=30) == [2, 4]
        for task, state in [(again, "RETRY"), (upload, "UPLOADING")]:
            result = task.delay()
            for _ in range(300):
                if result.state == state:
                    break
                time.sleep(0.1)
            assert result.state == state, result.state


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
    elif verb == "django":
        run_django(*arguments)
    else:
        asyncio.run(run_procrastinate(*arguments))
    print("seen through")
