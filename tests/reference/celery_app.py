"""A Celery application for the tests of the broker's figures: real producers and a real worker on a throwaway Redis.

    celery_app.py send QUEUE PRIORITY COUNT    tasks that take for ever
    celery_app.py delay QUEUE SECONDS COUNT    the same, not before so many seconds have passed
    celery_app.py copy QUEUE COUNT             puts so many more copies of the queue's first message into it
    celery_app.py work QUEUE                   a worker with one process, which takes one task and the next three
"""
import json
import os
import sys
import time

from celery import Celery

OPTIONS = json.loads(os.environ["TEST_TRANSPORT_OPTIONS"])

app = Celery("tests", broker=os.environ["TEST_BROKER"])
app.conf.update(
    broker_transport_options=OPTIONS,
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    worker_hijack_root_logger=False,
)
if "TEST_QUORUM" in os.environ:
    # RabbitMQ itself holds tasks that wait for their time, from Celery 5.5 on.
    app.conf.update(
        task_default_queue="mail",
        task_default_queue_type="quorum",
        task_default_exchange_type="topic",
        # A queue that has just been made may not take what is sent to it without asking.
        broker_transport_options={"confirm_publish": True},
    )


@app.task(name="tests.wait")
def wait():
    time.sleep(600)


def copy(queue, count):
    with app.connection_for_write() as connection:
        client = connection.default_channel.client
        message = client.lindex(queue, 0)
        for start in range(0, count, 10_000):
            client.rpush(queue, *[message] * min(10_000, count - start))


if __name__ == "__main__":
    verb, queue, *more = sys.argv[1:]
    if verb == "send":
        priority, count = map(int, more)
        for _ in range(count):
            wait.apply_async(queue=queue, priority=priority)
    elif verb == "delay":
        seconds, count = map(int, more)
        for _ in range(count):
            wait.apply_async(queue=queue, countdown=seconds)
    elif verb == "copy":
        copy(queue, int(more[0]))
    else:
        app.worker_main(["worker", "-Q", queue, "-c", "1", "-P", "prefork", "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "warning"])
