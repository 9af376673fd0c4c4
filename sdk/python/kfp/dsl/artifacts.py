"""Artifact classes, as a task sees them. Light: loaded in every task."""

import os as _os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Where the backend puts the object of a URI on the task's file system.
_LOCAL_MOUNTS = (('gs://', '/gcs/'), ('minio://', '/minio/'), ('s3://', '/s3/'))
_WORKSPACE_ARTIFACTS = '/kfp-workspace/.artifacts'

# The URI under which this task's outputs lie; set by the executor.
_task_root = None
_path_map = None


def _mapped_prefixes() -> 'list[tuple[str, str]]':
    """PENSTOCK_PATH_MAP, a JSON object of URI prefix to local prefix, longest first."""
    global _path_map
    if _path_map is None:
        text = _os.environ.get('PENSTOCK_PATH_MAP')
        if text:
            import json
            _path_map = sorted(json.loads(text).items(), key=lambda item: -len(item[0]))
        else:
            _path_map = []
    return _path_map


def uri_to_path(uri: str) -> str:
    """The local path of `uri`; a URI of an unknown scheme is returned as it is."""
    for prefix, local in _mapped_prefixes():
        if uri.startswith(prefix):
            return local + uri[len(prefix):]
    for prefix, local in _LOCAL_MOUNTS:
        if uri.startswith(prefix):
            return local + uri[len(prefix):]
    if uri.startswith('oci://'):
        return '/oci/' + uri[len('oci://'):].replace('/', '_')
    if uri.startswith('file://'):
        return uri[len('file://'):]
    return uri


def path_to_uri(path: str) -> str:
    """The URI of a local path: the reverse of uri_to_path where there is one."""
    for prefix, local in _mapped_prefixes():
        if path.startswith(local):
            return prefix + path[len(local):]
    for prefix, local in _LOCAL_MOUNTS:
        if path.startswith(local):
            return prefix + path[len(local):]
    return path


class Artifact:
    """A file or folder that tasks pass to each other.

    Attributes:
        name: the resource name that the backend gave it, '' if none.
        uri: where it is stored.
        metadata: a dict of JSON values, kept with the artifact.
        path: the local path at which to read or write it.
        custom_path: a local path to use in place of the one that follows from uri.
    """
    schema_title = 'system.Artifact'
    schema_version = '0.0.1'

    def __init__(self, name: 'str | None' = None, uri: 'str | None' = None, metadata: 'dict[str, Any] | None' = None):
        self.name = name or ''
        self.uri = uri or ''
        self.metadata = metadata if metadata is not None else {}
        self.custom_path: 'str | None' = None

    @property
    def path(self) -> str:
        """The local path at which to read or write it; None when it has no URI."""
        return self._get_path()

    @path.setter
    def path(self, path: str) -> None:
        self.set_path(path)

    def set_path(self, path: str) -> None:
        """Points the artifact to another local path, and its URI with it."""
        self.uri = path_to_uri(path)

    def _get_path(self) -> str:
        if self.custom_path:
            return self.custom_path
        if not self.uri:
            return None  # type: ignore[return-value]  # as upstream: an artifact without a place has no path
        if self.metadata.get('_kfp_workspace') is True:
            for prefix, local in _LOCAL_MOUNTS:
                if self.uri.startswith(prefix):
                    return _WORKSPACE_ARTIFACTS + local + self.uri[len(prefix):]
        return uri_to_path(self.uri)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name={self.name!r}, uri={self.uri!r}, metadata={self.metadata!r})'


class Dataset(Artifact):
    """Data."""
    schema_title = 'system.Dataset'


class Model(Artifact):
    """A trained model. `framework` is kept in the metadata."""
    schema_title = 'system.Model'

    @property
    def framework(self) -> str:
        """What made it, such as 'sklearn'; '' when not said."""
        return self.metadata.get('framework', '')

    @framework.setter
    def framework(self, framework: str) -> None:
        self.metadata['framework'] = framework

    def _get_path(self) -> str:
        path = super()._get_path()
        if path and self.uri.startswith('oci://') and not self.custom_path:
            return path + '/models'
        return path


class HTML(Artifact):
    """A page that the UI shows."""
    schema_title = 'system.HTML'


class Markdown(Artifact):
    """A Markdown text that the UI shows."""
    schema_title = 'system.Markdown'


class Metrics(Artifact):
    """Named numbers."""
    schema_title = 'system.Metrics'

    def log_metric(self, metric: str, value: float) -> None:
        """Records `value` (a number) under the name `metric`."""
        self.metadata[metric] = value


def _confusion_cell(matrix: 'dict[str, Any]', row: str, column: str) -> 'tuple[int, int]':
    names = [spec['displayName'] for spec in matrix['annotationSpecs']]
    for name in (row, column):
        if name not in names:
            raise ValueError(f'{name!r} is not a category of the confusion matrix; its categories are {names}')
    return names.index(row), names.index(column)


class ClassificationMetrics(Artifact):
    """A confusion matrix and a ROC curve."""
    schema_title = 'system.ClassificationMetrics'

    def _home(self) -> 'dict[str, Any]':
        """The dict that holds the confusion matrix and the curve."""
        return self.metadata

    def log_roc_data_point(self, fpr: float, tpr: float, threshold: float) -> None:
        """Adds one point of the ROC curve.

        Args:
            fpr, tpr, threshold: false positive rate, true positive rate and threshold.
        """
        self._home().setdefault('confidenceMetrics', []).append({
            'confidenceThreshold': threshold, 'recall': tpr, 'falsePositiveRate': fpr})

    def log_roc_curve(self, fpr: 'list[float]', tpr: 'list[float]', threshold: 'list[float]') -> None:
        """Adds a ROC curve.

        Args:
            fpr, tpr, threshold: false positive rates, true positive rates and thresholds, three lists of one length.

        Raises:
            ValueError: the lengths differ.
        """
        if not len(fpr) == len(tpr) == len(threshold):
            raise ValueError('log_roc_curve needs three lists of the same length, got '
                             f'{len(fpr)}, {len(tpr)} and {len(threshold)}')
        for point in zip(fpr, tpr, threshold):
            self.log_roc_data_point(*point)

    def set_confusion_matrix_categories(self, categories: 'list[str]') -> None:
        """Names the classes and sets every cell to 0."""
        size = len(categories)
        self._home()['confusionMatrix'] = {
            'annotationSpecs': [{'displayName': name} for name in categories],
            'rows': [{'row': [0] * size} for _ in range(size)]}

    def _matrix(self) -> 'dict[str, Any]':
        matrix = self._home().get('confusionMatrix')
        if not matrix:
            raise ValueError('call set_confusion_matrix_categories before logging rows or cells')
        return matrix

    def log_confusion_matrix_row(self, row_category: str, row: 'list[int]') -> None:
        """Sets one row.

        Args:
            row_category: the name of its class.
            row: its cells, in the order of the classes.

        Raises:
            ValueError: there is no such class, or the row has another length.
        """
        matrix = self._matrix()
        index, _ = _confusion_cell(matrix, row_category, row_category)
        if len(row) != len(matrix['annotationSpecs']):
            raise ValueError(f"the row has {len(row)} cells and the matrix {len(matrix['annotationSpecs'])} categories")
        matrix['rows'][index] = {'row': list(row)}

    def log_confusion_matrix_cell(self, row_category: str, col_category: str, value: int) -> None:
        """Sets one cell.

        Args:
            row_category, col_category: names of classes.
            value: a whole number.

        Raises:
            ValueError: there are no such classes.
        """
        matrix = self._matrix()
        row, column = _confusion_cell(matrix, row_category, col_category)
        matrix['rows'][row]['row'][column] = value

    def log_confusion_matrix(self, categories: 'list[str]', matrix: 'list[list[int]]') -> None:
        """Sets the whole matrix.

        Args:
            categories: the names of the classes.
            matrix: a list of rows, each a list of whole numbers.

        Raises:
            ValueError: the sizes differ.
        """
        if len(matrix) != len(categories):
            raise ValueError(f'the matrix has {len(matrix)} rows and {len(categories)} categories')
        self.set_confusion_matrix_categories(categories)
        for category, row in zip(categories, matrix):
            self.log_confusion_matrix_row(category, row)


class SlicedClassificationMetrics(Artifact):
    """ClassificationMetrics for each slice of the data, by the slice's name.

    metadata.evaluationSlices is a list of {slice, sliceClassificationMetrics}.
    """
    schema_title = 'system.SlicedClassificationMetrics'

    def _slice(self, name: str) -> 'ClassificationMetrics':
        slices = self.metadata.setdefault('evaluationSlices', [])
        for entry in slices:
            if entry['slice'] == name:
                break
        else:
            entry = {'slice': name, 'sliceClassificationMetrics': {}}
            slices.append(entry)
        view = ClassificationMetrics()
        view.metadata = entry['sliceClassificationMetrics']
        return view

    def log_roc_reading(self, slice: str, threshold: float, tpr: float, fpr: float) -> None:
        """Adds one point to a slice's ROC curve.

        Args:
            slice: the slice's name.
            threshold, tpr, fpr: the point.
        """
        self._slice(slice).log_roc_data_point(fpr, tpr, threshold)

    def load_roc_readings(self, slice: str, readings: 'list[list[float]]') -> None:
        """Adds points to a slice's ROC curve.

        Args:
            slice: the slice's name.
            readings: [threshold, tpr, fpr] lists.
        """
        for threshold, tpr, fpr in readings:
            self.log_roc_reading(slice, threshold, tpr, fpr)

    def set_confusion_matrix_categories(self, slice: str, categories: 'list[str]') -> None:
        """Names the classes of a slice's matrix and sets every cell to 0.

        Args:
            slice: the slice's name.
            categories: the names of the classes.
        """
        self._slice(slice).set_confusion_matrix_categories(categories)

    def log_confusion_matrix_row(self, slice: str, row_category: str, row: 'list[int]') -> None:
        """Sets one row of a slice's matrix.

        Args:
            slice: the slice's name.
            row_category: the name of the row's class.
            row: its cells.
        """
        self._slice(slice).log_confusion_matrix_row(row_category, row)

    def log_confusion_matrix_cell(self, slice: str, row_category: str, col_category: str, value: int) -> None:
        """Sets one cell of a slice's matrix.

        Args:
            slice: the slice's name.
            row_category, col_category: names of classes.
            value: a whole number.
        """
        self._slice(slice).log_confusion_matrix_cell(row_category, col_category, value)

    def load_confusion_matrix(self, slice: str, categories: 'list[str]', matrix: 'list[list[int]]') -> None:
        """Sets a slice's whole matrix.

        Args:
            slice: the slice's name.
            categories: the names of the classes.
            matrix: a list of rows.
        """
        self._slice(slice).log_confusion_matrix(categories, matrix)


BY_TITLE = {cls.schema_title: cls for cls in (
    Artifact, Dataset, Model, HTML, Markdown, Metrics, ClassificationMetrics,
    SlicedClassificationMetrics)}


def get_uri(suffix: str = 'Output') -> str:
    """A URI of this task's own under its output folder, ending in `suffix`.

    Use it for an artifact that the function returns: `Dataset(uri=dsl.get_uri())`.
    Raises RuntimeError outside a running task.
    """
    if _task_root is None:
        raise RuntimeError('dsl.get_uri() works only inside a running task')
    return f'{_task_root}/{suffix}'
