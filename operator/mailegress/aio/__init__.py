"""Ground floor of asyncio: tasks, queues, caches. No domain words, no I/O."""
