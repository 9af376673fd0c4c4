"""The states of runs, as PipelinesClient.wait_for_run_status takes them."""

RUN_SUCCEEDED = 'succeeded'
RUN_FAILED = 'failed'
RUN_SKIPPED = 'skipped'
RUN_CANCELED = 'canceled'
RUN_CANCELING = 'canceling'
RUN_RUNNING = 'running'
RUN_PENDING = 'pending'
RUN_PAUSED = 'paused'

RUN_COMPLETE = RUN_SUCCEEDED
TERMINAL_STATES = frozenset((RUN_SUCCEEDED, RUN_FAILED, RUN_SKIPPED, RUN_CANCELED))

__all__ = ['RUN_SUCCEEDED', 'RUN_FAILED', 'RUN_SKIPPED', 'RUN_CANCELED', 'RUN_CANCELING', 'RUN_RUNNING', 'RUN_PENDING',
           'RUN_PAUSED', 'RUN_COMPLETE', 'TERMINAL_STATES']
