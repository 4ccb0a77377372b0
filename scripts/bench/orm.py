#!/usr/bin/env python3
"""The loop that taskmon replaces, as it is commonly written: every expired row is loaded as an object, its files are removed, it is
deleted, and the session is committed before the next one.

    orm.py URL STORAGE
"""
import os
import sys
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, String, and_, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task_id: Mapped[str] = mapped_column(String)
    # An enum in the database; bound values are compared as its text.
    status: Mapped[str] = mapped_column(String)
    image_path: Mapped[str | None] = mapped_column(String)
    document_path: Mapped[str | None] = mapped_column(String)
    screenshot_path: Mapped[str | None] = mapped_column(String)
    completed_at: Mapped[datetime | None] = mapped_column(DateTime)
    created_at: Mapped[datetime | None] = mapped_column(DateTime)


def main():
    url, storage = sys.argv[1:]
    limit = datetime.fromisoformat(os.environ["BENCH_CUT"])
    expired = and_(Task.status.cast(String) == "COMPLETED", Task.completed_at < limit)
    with Session(create_engine(url.replace("postgresql://", "postgresql+psycopg2://", 1)), expire_on_commit=False) as session:
        for task in session.scalars(select(Task).where(expired)).all():
            for path in (task.image_path, task.document_path, task.screenshot_path):
                if path and os.path.exists(os.path.join(storage, path)):
                    os.remove(os.path.join(storage, path))
            session.delete(task)
            session.commit()


if __name__ == "__main__":
    main()
