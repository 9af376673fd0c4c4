"""The client's methods for experiments."""

from __future__ import annotations

from kfp.client.connection import Connection, Page, equals, id_part, without_none
from kfp.client.rest import Record


class Experiments(Connection):
    """Part of kfp.Client."""

    def create_experiment(self, name: str, description: str | None = None, namespace: str | None = None) -> Record:
        """The experiment of that name; makes it when there is none.

        Args:
            name: what to call it.
            description: kept with it.
            namespace: whose it is, on servers with several users.

        Returns:
            The experiment: experiment_id, display_name, …
        """
        try:
            experiment = self.get_experiment(experiment_name=name, namespace=namespace)
        except ValueError:
            experiment = self._call('POST', '/experiments', body=without_none({
                'display_name': name, 'description': description or None,
                'namespace': namespace or self._namespace or None}))
        print(f'Experiment details: {self._ui}/#/experiments/details/{experiment.experiment_id}')
        return experiment

    def get_experiment(self, experiment_id: str | None = None, experiment_name: str | None = None,
                       namespace: str | None = None) -> Record:
        """An experiment by id or by name.

        Args:
            experiment_id: its id, or
            experiment_name: its name.
            namespace: whose it is, on servers with several users.

        Raises:
            ValueError: neither is given, or none has the name.
            ApiError: there is none of that id.
        """
        if experiment_id:
            return self._call('GET', f'/experiments/{id_part(experiment_id)}')
        if not experiment_name:
            raise ValueError('get_experiment() needs experiment_id or experiment_name')
        page = self.list_experiments(namespace=namespace, page_size=100, filter=equals('name', experiment_name))
        if not page.experiments:
            raise ValueError(f'No experiment is found with name {experiment_name}.')
        found: Record = page.experiments[0]
        return found

    def list_experiments(self, page_token: str = '', page_size: int = 10, sort_by: str = '', namespace: str | None = None,
                         filter: str | None = None) -> Page:
        """A page of experiments: .experiments, .next_page_token, .total_size.

        Args:
            page_token: the `next_page_token` of the page before; '' for the first.
            page_size: how many at most.
            sort_by: a field, with ' desc' for the other direction, such as 'created_at desc'.
            namespace: whose, on servers with several users.
            filter: JSON text of predicates, as upstream's API describes it.
        """
        return self._list('/experiments', page_token, page_size, sort_by, filter, namespace=namespace or self._namespace)

    def archive_experiment(self, experiment_id: str) -> Record:
        """Archives an experiment with its runs and schedules."""
        return self._call('POST', f'/experiments/{id_part(experiment_id)}:archive')

    def unarchive_experiment(self, experiment_id: str) -> Record:
        """Takes an experiment out of the archive; its runs stay there."""
        return self._call('POST', f'/experiments/{id_part(experiment_id)}:unarchive')

    def delete_experiment(self, experiment_id: str) -> Record:
        """Deletes an experiment. Its runs stay."""
        return self._call('DELETE', f'/experiments/{id_part(experiment_id)}')
