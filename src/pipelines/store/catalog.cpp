// Experiments, pipelines and pipeline versions.
#include "pipelines/store/models.h"
#include "pipelines/store/queries.h"
#include "pipelines/store/rows.h"
#include "pipelines/store/store.h"

namespace penstock::pipelines {

namespace {

constexpr std::string_view kDefaultExperiment = "Default";
constexpr std::string_view kDefaultDescription =
    "All runs created without specifying an experiment will be grouped here.";

void insert_experiment(db::Connection& c, const Experiment& experiment) {
  try {
    c.execute(
        "INSERT INTO experiments (experiment_id, namespace, display_name, description, created_at, storage_state, "
        "last_run_created_at) VALUES (?, ?, ?, ?, ?, ?, 0)",
        experiment.experiment_id, experiment.name_space, experiment.display_name, experiment.description,
        to_micros(experiment.created_at), to_string(experiment.storage_state));
  } catch (const Error& error) {
    if (error.code() != Code::AlreadyExists) throw;
    throw Error(
        Code::AlreadyExists,
        fmt::format("An experiment with the name {} already exists; choose another name", experiment.display_name),
        "display_name");
  }
}

void insert_pipeline(db::Connection& c, const Pipeline& pipeline) {
  try {
    c.execute(
        "INSERT INTO pipelines (pipeline_id, namespace, name, display_name, description, created_at, tags) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        pipeline.pipeline_id, pipeline.name_space, pipeline.name, pipeline.display_name, pipeline.description,
        to_micros(pipeline.created_at), store::tags_text(pipeline.tags));
  } catch (const Error& error) {
    if (error.code() != Code::AlreadyExists) throw;
    throw Error(Code::AlreadyExists,
                fmt::format("A pipeline with the name {} already exists; choose another name, or upload a new version "
                            "of it",
                            pipeline.name),
                "name");
  }
}

void insert_version(db::Connection& c, const PipelineVersion& version, std::string_view spec) {
  store::put_spec(c, version.spec_hash, spec);
  try {
    c.execute(
        "INSERT INTO pipeline_versions (pipeline_id, pipeline_version_id, name, display_name, description, created_at, "
        "package_url, code_source_url, spec_hash, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        version.pipeline_id, version.pipeline_version_id, version.name, version.display_name, version.description,
        to_micros(version.created_at), version.package_url, version.code_source_url, version.spec_hash,
        store::tags_text(version.tags));
  } catch (const Error& error) {
    if (error.code() != Code::AlreadyExists) throw;
    throw Error(Code::AlreadyExists,
                fmt::format("The pipeline {} has a version with the name {} already; choose another name",
                            version.pipeline_id, version.name),
                "name");
  }
}

Pipeline load_pipeline(db::Connection& c, std::string_view id) {
  return store::first_row(
      c.query(fmt::format("SELECT {} FROM pipelines t WHERE t.pipeline_id = ?", store::kPipelineColumns), id),
      store::read_pipeline, "Pipeline", id);
}

PipelineVersion load_version(db::Connection& c, std::string_view pipeline_id, std::string_view version_id) {
  PipelineVersion version = store::first_row(
      c.query(fmt::format("SELECT {} FROM pipeline_versions t WHERE t.pipeline_version_id = ?", store::kVersionColumns),
              version_id),
      store::read_version, "PipelineVersion", version_id);
  if (!pipeline_id.empty() && version.pipeline_id != pipeline_id) {
    throw not_found("PipelineVersion {} not found in pipeline {}", version_id, pipeline_id);
  }
  return version;
}

void fill(Pipeline& pipeline, Time now) {
  if (pipeline.pipeline_id.empty()) pipeline.pipeline_id = new_uuid();
  if (pipeline.name.empty()) pipeline.name = pipeline.display_name;
  if (pipeline.display_name.empty()) pipeline.display_name = pipeline.name;
  pipeline.created_at = now;
}

void fill(PipelineVersion& version, Time now) {
  if (version.pipeline_version_id.empty()) version.pipeline_version_id = new_uuid();
  if (version.name.empty()) version.name = version.display_name;
  if (version.display_name.empty()) version.display_name = version.name;
  version.created_at = now;
}

}  // namespace

Store::Store(db::Database& database, const Clock& clock)
    : database_(database), clock_(clock), run_columns_(std::make_shared<db::Columns>(store::run_model())) {
  catch_up_lists();  // ahead of the first list of runs
  const auto find = [this](db::Connection& c) {
    db::Rows rows =
        c.query("SELECT experiment_id FROM experiments WHERE namespace = '' AND display_name = ?", kDefaultExperiment);
    if (rows.next()) default_experiment_id_ = rows.string(0);
  };
  database_.read_now(find);
  if (!default_experiment_id_.empty()) return;
  database_.write_now([&](db::Connection& c) {
    Experiment experiment;
    experiment.experiment_id = default_experiment_id_ = new_uuid();
    experiment.display_name = kDefaultExperiment;
    experiment.description = kDefaultDescription;
    experiment.created_at = clock_.now();
    insert_experiment(c, experiment);
  });
}

Async<Experiment> Store::create_experiment(Experiment experiment) {
  experiment.experiment_id = new_uuid();
  experiment.created_at = clock_.now();
  experiment.storage_state = StorageState::Available;
  co_await database_.write([&](db::Connection& c) { insert_experiment(c, experiment); });
  co_return experiment;
}

Async<Experiment> Store::get_experiment(std::string id) {
  co_return co_await database_.read([&](db::Connection& c) {
    return store::first_row(
        c.query(fmt::format("SELECT {} FROM experiments t WHERE t.experiment_id = ?", store::kExperimentColumns), id),
        store::read_experiment, "Experiment", id);
  });
}

Async<Page<Experiment>> Store::list_experiments(db::ListRequest request) {
  db::List list(store::experiment_model(), request);
  co_return co_await store::read_page(database_, std::move(list), store::kExperimentColumns, store::read_experiment);
}

Async<> Store::delete_experiment(std::string id) {
  if (id == default_experiment_id_) {
    throw Error(Code::Aborted, "The Default experiment takes the runs that name no other and cannot be deleted");
  }
  co_await database_.write([&](db::Connection& c) {
    if (c.execute("DELETE FROM experiments WHERE experiment_id = ?", id) == 0) {
      throw not_found("Experiment {} not found", id);
    }
  });
}

Async<> Store::archive_experiment(std::string id) {
  co_await database_.write([&](db::Connection& c) {
    if (c.execute("UPDATE experiments SET storage_state = 'ARCHIVED' WHERE experiment_id = ?", id) == 0) {
      throw not_found("Experiment {} not found", id);
    }
    c.execute("UPDATE runs SET storage_state = 'ARCHIVED' WHERE experiment_id = ? AND storage_state <> 'ARCHIVED'", id);
    c.execute("UPDATE recurring_runs SET enabled = 0 WHERE experiment_id = ?", id);
  });
}

Async<> Store::unarchive_experiment(std::string id) {
  co_await database_.write([&](db::Connection& c) {
    if (c.execute("UPDATE experiments SET storage_state = 'AVAILABLE' WHERE experiment_id = ?", id) == 0) {
      throw not_found("Experiment {} not found", id);
    }
  });
}

Async<Pipeline> Store::create_pipeline(Pipeline pipeline) {
  fill(pipeline, clock_.now());
  co_await database_.write([&](db::Connection& c) { insert_pipeline(c, pipeline); });
  co_return pipeline;
}

Async<std::pair<Pipeline, PipelineVersion>> Store::create_pipeline_and_version(Pipeline pipeline,
                                                                               PipelineVersion version,
                                                                               std::string spec) {
  const Time now = clock_.now();
  fill(pipeline, now);
  version.pipeline_id = pipeline.pipeline_id;
  fill(version, now);
  co_await database_.write([&](db::Connection& c) {
    insert_pipeline(c, pipeline);
    insert_version(c, version, spec);
  });
  co_return std::pair(std::move(pipeline), std::move(version));
}

Async<Pipeline> Store::get_pipeline(std::string id) {
  co_return co_await database_.read([&](db::Connection& c) { return load_pipeline(c, id); });
}

Async<Pipeline> Store::get_pipeline_by_name(std::string name) {
  co_return co_await database_.read([&](db::Connection& c) {
    return store::first_row(c.query(fmt::format("SELECT {} FROM pipelines t WHERE t.namespace = '' AND t.name = ?",
                                                store::kPipelineColumns),
                                    name),
                            store::read_pipeline, "Pipeline with the name", name);
  });
}

Async<Page<Pipeline>> Store::list_pipelines(db::ListRequest request) {
  db::List list(store::pipeline_model(), request);
  co_return co_await store::read_page(database_, std::move(list), store::kPipelineColumns, store::read_pipeline);
}

Async<Pipeline> Store::update_pipeline(Pipeline pipeline) {
  co_return co_await database_.write([&](db::Connection& c) {
    c.execute("UPDATE pipelines SET display_name = ?, description = ?, tags = ? WHERE pipeline_id = ?",
              pipeline.display_name, pipeline.description, store::tags_text(pipeline.tags), pipeline.pipeline_id);
    return load_pipeline(c, pipeline.pipeline_id);
  });
}

Async<> Store::delete_pipeline(std::string id, bool cascade) {
  co_await database_.write([&](db::Connection& c) {
    load_pipeline(c, id);
    std::vector<std::string> hashes;
    {
      db::Rows rows = c.query("SELECT spec_hash FROM pipeline_versions WHERE pipeline_id = ?", id);
      while (rows.next()) hashes.push_back(rows.string(0));
    }
    if (!hashes.empty() && !cascade) {
      throw Error(
          Code::FailedPrecondition,
          fmt::format("Pipeline {} has {} versions; delete them first, or ask for cascade=true", id, hashes.size()));
    }
    c.execute("DELETE FROM pipeline_versions WHERE pipeline_id = ?", id);
    c.execute("DELETE FROM pipelines WHERE pipeline_id = ?", id);
    for (const std::string& hash : hashes) store::drop_unused_spec(c, hash);
  });
}

Async<PipelineVersion> Store::create_version(PipelineVersion version, std::string spec) {
  fill(version, clock_.now());
  co_await database_.write([&](db::Connection& c) {
    load_pipeline(c, version.pipeline_id);
    insert_version(c, version, spec);
    // As v1 has it: a new version becomes the default.
    c.execute("UPDATE pipelines SET default_version_id = '' WHERE pipeline_id = ? AND default_version_id <> ''",
              version.pipeline_id);
  });
  co_return version;
}

Async<PipelineVersion> Store::get_version(std::string pipeline_id, std::string version_id) {
  co_return co_await database_.read([&](db::Connection& c) { return load_version(c, pipeline_id, version_id); });
}

Async<> Store::set_default_version(std::string pipeline_id, std::string version_id) {
  co_await database_.write([&](db::Connection& c) {
    load_pipeline(c, pipeline_id);
    load_version(c, pipeline_id, version_id);
    c.execute("UPDATE pipelines SET default_version_id = ? WHERE pipeline_id = ?", version_id, pipeline_id);
  });
}

Async<std::map<std::string, PipelineVersion>> Store::default_versions(std::vector<std::string> pipeline_ids) {
  co_return co_await database_.read([&](db::Connection& c) {
    std::map<std::string, PipelineVersion> versions;
    for (const std::string& id : pipeline_ids) {
      db::Rows rows =
          c.query(fmt::format("SELECT {} FROM pipeline_versions t JOIN pipelines p ON p.pipeline_id = t.pipeline_id "
                              "WHERE t.pipeline_id = ? ORDER BY t.pipeline_version_id = p.default_version_id DESC, "
                              "t.created_at DESC, t.seq DESC LIMIT 1",
                              store::kVersionColumns),
                  id);
      if (rows.next()) versions.emplace(id, store::read_version(rows));
    }
    return versions;
  });
}

Async<std::map<std::string, std::string>> Store::names_of(std::vector<std::string> ids) {
  constexpr std::string_view kNames[] = {
      "SELECT display_name FROM experiments WHERE experiment_id = ?",
      "SELECT name FROM pipeline_versions WHERE pipeline_version_id = ?",
      "SELECT name FROM pipelines WHERE pipeline_id = ?",
      "SELECT display_name FROM recurring_runs WHERE recurring_run_id = ?",
  };
  co_return co_await database_.read([&](db::Connection& c) {
    std::map<std::string, std::string> names;
    for (const std::string& id : ids) {
      if (names.contains(id)) continue;
      for (const std::string_view query : kNames) {
        db::Rows rows = c.query(query, id);
        if (!rows.next()) continue;
        names.emplace(id, rows.string(0));
        break;
      }
    }
    return names;
  });
}

Async<PipelineVersion> Store::latest_version(std::string pipeline_id) {
  co_return co_await database_.read([&](db::Connection& c) {
    load_pipeline(c, pipeline_id);
    return store::first_row(c.query(fmt::format("SELECT {} FROM pipeline_versions t WHERE t.pipeline_id = ? "
                                                "ORDER BY t.created_at DESC, t.seq DESC LIMIT 1",
                                                store::kVersionColumns),
                                    pipeline_id),
                            store::read_version, "A version of pipeline", pipeline_id);
  });
}

Async<Page<PipelineVersion>> Store::list_versions(std::string pipeline_id, db::ListRequest request) {
  db::List list(store::version_model(), request);
  list.only("pipeline_id", std::move(pipeline_id));
  co_return co_await store::read_page(database_, std::move(list), store::kVersionColumns, store::read_version);
}

Async<PipelineVersion> Store::update_version(PipelineVersion version) {
  co_return co_await database_.write([&](db::Connection& c) {
    c.execute("UPDATE pipeline_versions SET display_name = ?, description = ?, tags = ? WHERE pipeline_version_id = ?",
              version.display_name, version.description, store::tags_text(version.tags), version.pipeline_version_id);
    return load_version(c, version.pipeline_id, version.pipeline_version_id);
  });
}

Async<> Store::delete_version(std::string pipeline_id, std::string version_id) {
  co_await database_.write([&](db::Connection& c) {
    const PipelineVersion version = load_version(c, pipeline_id, version_id);
    c.execute("DELETE FROM pipeline_versions WHERE pipeline_version_id = ?", version_id);
    store::drop_unused_spec(c, version.spec_hash);
  });
}

}  // namespace penstock::pipelines
