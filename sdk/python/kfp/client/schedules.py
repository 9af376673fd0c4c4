"""The client's methods for recurring runs."""

from __future__ import annotations

from kfp.client.connection import Page, id_part, time_text, without_none
from kfp.client.rest import Record
from kfp.client.runs import Runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    import os
    from typing import Any


class Schedules(Runs):
    """Part of kfp.Client."""

    def create_recurring_run(self, experiment_id: str, job_name: str, description: str | None = None,
                             start_time: str | datetime.datetime | None = None,
                             end_time: str | datetime.datetime | None = None, interval_second: int | None = None,
                             cron_expression: str | None = None, max_concurrency: int | None = 1,
                             no_catchup: bool | None = None, params: dict[str, Any] | None = None,
                             pipeline_package_path: str | os.PathLike[str] | None = None, pipeline_id: str | None = None,
                             version_id: str | None = None, enabled: bool = True, pipeline_root: str | None = None,
                             enable_caching: bool | None = None, cache_key: str | None = None,
                             service_account: str | None = None) -> Record:
        """Runs a pipeline again and again.

        Args:
            experiment_id: where its runs belong.
            job_name: the schedule's name.
            description: kept with it.
            start_time, end_time: RFC 3339 texts or datetimes; None for no bound.
            interval_second: seconds between runs, or
            cron_expression: six fields, seconds first.
            max_concurrency: how many of its runs at a time, 1 to 10.
            no_catchup: leave out times that were missed.
            params, pipeline_package_path, pipeline_id, version_id, pipeline_root, enable_caching, cache_key,
                service_account: as for run_pipeline.
            enabled: whether it starts runs; see enable_recurring_run.

        Returns:
            The schedule: recurring_run_id, status, …

        Raises:
            ValueError: not exactly one of interval_second and cron_expression.
        """
        if bool(interval_second) == bool(cron_expression):
            raise ValueError('create_recurring_run() needs either interval_second or cron_expression')
        body = self._source(pipeline_package_path, pipeline_id, version_id, params, pipeline_root, enable_caching, cache_key)
        window = {key: value for key, value in (('start_time', time_text(start_time)), ('end_time', time_text(end_time))) if value}
        trigger: dict[str, Any]
        if cron_expression:
            trigger = {'cron_schedule': dict(window, cron=cron_expression)}
        else:
            trigger = {'periodic_schedule': dict(window, interval_second=str(interval_second))}
        body.update({'experiment_id': experiment_id, 'display_name': job_name, 'description': description,
                     'max_concurrency': str(max_concurrency or 1), 'no_catchup': no_catchup, 'trigger': trigger,
                     'mode': 'ENABLE' if enabled else 'DISABLE', 'service_account': service_account})
        reply = self._call('POST', '/recurringruns', body=without_none(body))
        print(f'Recurring run details: {self._ui}/#/recurringrun/details/{reply.recurring_run_id}')
        return reply

    def get_recurring_run(self, recurring_run_id: str | None = None, job_id: str | None = None) -> Record:
        """A schedule.

        Args:
            recurring_run_id: its id.
            job_id: the same under its v1 name.
        """
        return self._call('GET', f'/recurringruns/{id_part(recurring_run_id or job_id)}')

    def list_recurring_runs(self, page_token: str = '', page_size: int = 10, sort_by: str = '',
                            experiment_id: str | None = None, namespace: str | None = None, filter: str | None = None) -> Page:
        """A page of schedules: .recurring_runs, .next_page_token, .total_size; see list_runs for the arguments."""
        return self._list('/recurringruns', page_token, page_size, sort_by, filter, experiment_id=experiment_id,
                          namespace=namespace or self._namespace)

    def enable_recurring_run(self, recurring_run_id: str | None = None, job_id: str | None = None) -> Record:
        """Lets a schedule start runs. job_id: the id under its v1 name."""
        return self._call('POST', f'/recurringruns/{id_part(recurring_run_id or job_id)}:enable')

    def disable_recurring_run(self, recurring_run_id: str | None = None, job_id: str | None = None) -> Record:
        """Stops a schedule from starting runs. job_id: the id under its v1 name."""
        return self._call('POST', f'/recurringruns/{id_part(recurring_run_id or job_id)}:disable')

    def delete_recurring_run(self, recurring_run_id: str | None = None, job_id: str | None = None) -> Record:
        """Deletes a schedule. Its runs stay. job_id: the id under its v1 name."""
        return self._call('DELETE', f'/recurringruns/{id_part(recurring_run_id or job_id)}')

    def enable_job(self, job_id: str) -> Record:
        """enable_recurring_run under its v1 name."""
        return self.enable_recurring_run(job_id)

    def disable_job(self, job_id: str) -> Record:
        """disable_recurring_run under its v1 name."""
        return self.disable_recurring_run(job_id)

    def delete_job(self, job_id: str) -> Record:
        """delete_recurring_run under its v1 name."""
        return self.delete_recurring_run(job_id)
