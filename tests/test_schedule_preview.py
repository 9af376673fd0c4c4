"""When recurring runs fire, told before they do."""
import pytest

OWN = '/apis/penstock/v1/recurringruns'


def cron(text):
    return {'trigger': {'cron_schedule': {'cron': text}}}


def test_a_schedule_is_previewed_and_told(server):
    from conftest import shell
    told = server.post(OWN + ':previewSchedule?count=3', cron('TZ=Asia/Seoul 0 0 9 1 1 *')).json
    times = [one['scheduled_at'] for one in told['upcoming']]
    assert len(times) == 3 and all(time.endswith('-01-01T00:00:00Z') for time in times) and times == sorted(set(times))
    made = server.post('/apis/v2beta1/recurringruns', {
        'display_name': 'yearly', 'pipeline_spec': shell('true'), 'mode': 'ENABLE', 'max_concurrency': '1',
        **cron('TZ=Asia/Seoul 0 0 9 1 1 *')}).json['recurring_run_id']
    assert server.get(f'{OWN}/{made}:schedule?count=3').json == {**told, 'runs_made': 0}
    assert server.post(f'/apis/v2beta1/recurringruns/{made}:disable').status == 200
    assert server.get(f'{OWN}/{made}:schedule').json == {'upcoming': [], 'runs_made': 0}
    assert server.request('DELETE', f'/apis/v2beta1/recurringruns/{made}').status == 200
    assert server.get(f'{OWN}/{made}:schedule').status == 404


@pytest.mark.parametrize('query,body,field', [
    ('', cron('0 99 * * * *'), 'cron'),
    ('', {'trigger': {'cron_schedule': {'cron': '0 0 * * * *'}, 'periodic_schedule': {'interval_second': '5'}}}, 'trigger'),
    ('', {'trigger': {'periodic_schedule': {'interval_second': '-5'}}}, 'interval_second'),
    ('?count=501', cron('0 0 * * * *'), 'count'),
    ('?count=0', cron('0 0 * * * *'), 'count'),
    ('', {'trigger': 7}, 'trigger'),
    ('', {'other': 7}, 'other'),
])
def test_what_is_no_schedule_is_refused(server, query, body, field):
    answer = server.post(OWN + ':previewSchedule' + query, body)
    assert answer.status == 400 and field in answer.text, answer.text
