// Metrics of runs.
#include "pipelines/store/queries.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace {

// False when the node has reported that name before.
bool insert_metric(db::Connection& c, int64_t run_seq, const RunMetric& metric) {
  const auto added = c.execute(
      "INSERT INTO run_metrics (run_seq, name, node_id, value, format, newest) VALUES (?, ?, ?, ?, ?, 0) "
      "ON CONFLICT DO NOTHING",
      run_seq, metric.name, metric.node_id, metric.number_value, static_cast<int>(metric.format));
  if (added == 0) return false;
  c.execute("UPDATE run_metrics SET newest = (node_id = ?) WHERE run_seq = ? AND name = ?", metric.node_id, run_seq,
            metric.name);
  return true;
}

}  // namespace

std::vector<bool> store::put_metrics(db::Connection& c, std::string_view run_id, std::span<const RunMetric> metrics) {
  std::vector<bool> stored;
  const int64_t seq = run_seq(c, run_id);
  for (const RunMetric& metric : metrics) stored.push_back(insert_metric(c, seq, metric));
  return stored;
}

Async<std::vector<bool>> Store::report_metrics(std::string run_id, std::vector<RunMetric> metrics) {
  co_return co_await database_.write([&](db::Connection& c) { return store::put_metrics(c, run_id, metrics); });
}

Async<std::map<std::string, std::vector<RunMetric>>> Store::metrics_of(std::vector<std::string> run_ids) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::map<std::string, std::vector<RunMetric>> metrics;
    for (const std::string& run_id : run_ids) {
      db::Rows rows = c.query(
          "SELECT m.name, m.node_id, m.value, m.format FROM runs t JOIN run_metrics m ON m.run_seq = t.seq "
          "WHERE t.run_id = ? ORDER BY m.name, m.node_id",
          run_id);
      while (rows.next()) {
        metrics[run_id].push_back(
            {rows.string(0), rows.string(1), rows.real(2), static_cast<MetricFormat>(rows.integer(3))});
      }
    }
    return metrics;
  });
}

}  // namespace penstock::pipelines
