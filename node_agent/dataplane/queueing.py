"""A bounded queue that can be closed."""

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class QueueClosedError(Exception):
    """The queue takes and gives nothing more. Internal: each user of a queue turns it into its own end."""


class BoundedQueue(Generic[Item]):
    """First in, first out, at most `limit` items. Thread-safe; `close` wakes everyone who waits."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> None:
        """Appends `item`, waiting while the queue is full.

        Raises:
            QueueClosedError: The queue is closed; `item` is not in it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or len(self._items) < self._limit)
            if self._is_closed:
                raise QueueClosedError
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """Takes the oldest item, waiting for one.

        Raises:
            QueueClosedError: The queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._items)
            if self._is_closed:
                raise QueueClosedError
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Ends the queue; what is still in it is dropped."""
        with self._changed:
            self._is_closed = True
            self._items.clear()
            self._changed.notify_all()
