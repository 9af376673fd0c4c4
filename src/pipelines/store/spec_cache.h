// Specs parsed once: the newest ones used, by the hash of their text. The API and the run controller share it.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/json.h"

namespace penstock::ir {
class Pipeline;
}

namespace penstock::pipelines {

// A spec as it is stored: JSON text, one PipelineSpec or {"pipeline_spec": …, "platform_spec": …}.
struct Spec {
  std::string hash;  // sha256 of text
  std::string text;
  std::string pipeline_name;                     // pipelineInfo.name
  std::shared_ptr<const ir::Pipeline> pipeline;  // the validated graph
};

// What reads and checks a spec: ir::from_json and engine::validate_parameters, or a test's stand-in.
struct SpecReader {
  // Throws InvalidArgument with the path of what is wrong.
  std::function<std::shared_ptr<const ir::Pipeline>(json::value spec, json::value platform_spec)> read;
  std::function<void(const ir::Pipeline& pipeline, const json::object& parameters)> validate_parameters;
};

// The real one.
SpecReader ir_spec_reader();

// Thread-safe. Holds about `max_bytes` of spec text; a spec in use stays alive with its users.
class SpecCache {
 public:
  explicit SpecCache(SpecReader reader, size_t max_bytes = 32u << 20);

  // Null when it is not here.
  std::shared_ptr<const Spec> find(const std::string& hash);
  // Parses and keeps `text`. Throws what the reader throws; then nothing is kept.
  std::shared_ptr<const Spec> parse(std::string text);
  void validate_parameters(const Spec& spec, const json::object& parameters) const;

  // The stored form of the documents of a client's file or of a request's pipeline_spec: unwraps PipelineJob files and
  // manifests of kind Pipeline/PipelineVersion, joins a spec with its platform spec. Throws InvalidArgument for what is
  // no pipeline spec.
  static json::value normalise(std::vector<json::value> documents);

 private:
  using Order = std::list<std::shared_ptr<const Spec>>;
  SpecReader reader_;
  const size_t max_bytes_;
  std::mutex mutex_;
  size_t bytes_ = 0;
  Order newest_;  // first: used last
  std::unordered_map<std::string, Order::iterator> by_hash_;
};

}  // namespace penstock::pipelines
