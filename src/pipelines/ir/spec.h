// A pipeline as it was compiled: PipelineSpec (and PlatformSpec) read into an immutable, validated graph. Whatever the
// engine follows is an index or a pointer that was checked here, so that a run never meets an unknown name.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "pipelines/ir/cel.h"
#include "pipelines/ir/text.h"

namespace penstock::ir {

enum class ParameterType { Unspecified, Double, Integer, String, Boolean, List, Struct, TaskFinalStatus, TaskConfig };

std::string_view type_name(ParameterType type);  // "NUMBER_INTEGER"

// Where a parameter that a task gives is found, when not in what the executor reports.
enum class Found { Reported, File, Stdout, JsonPath, Constant };

// Definitions are sorted by name. Pointers into JSON stay valid as long as the Pipeline.
struct ParameterDef {
  std::string name;
  ParameterType type = ParameterType::Unspecified;
  bool optional = false;
  const json::value* default_value = nullptr;  // null when there is none
  const json::array* literals = nullptr;       // the only values allowed, when given
  Found found = Found::Reported;
  std::string at;  // File: the container's path; JsonPath: into the resource; Constant: the value, references in place
  std::string global_name;  // under which the run knows it, from when the task has succeeded; empty: under none
};

struct ArtifactDef {
  std::string name;
  json::object type;  // {"schemaTitle": …, "schemaVersion": …} or {"instanceSchema": …}
  bool list = false;
  bool optional = false;
  const json::object* metadata = nullptr;  // of outputs
  std::string path;                        // where the container has it; empty: its executor is told
  int mode = -1;                           // permissions of an input; -1: as they are
  std::string global_name;                 // as ParameterDef's
};

struct Executor {
  // Workload: a pod in Kubernetes' own words. Resource: an action on a resource. Suspend: a pause. Http: a request.
  enum class Kind { Container, Importer, Workload, Resource, Suspend, Http };
  std::string label;
  Kind kind = Kind::Container;
  // The `container` or `importer` object. Of the others the template, see argo/template.h: "{{inputs.parameters.x}}"
  // and its kin stand in its texts.
  const json::object* spec = nullptr;
  const json::object* platform = nullptr;  // its KubernetesExecutorConfig, null when there is none
  // What it says that changes nothing on one machine whose steps are processes; null: nothing.
  std::shared_ptr<const std::string> not_applied;
  // The same where steps are containers of their images.
  std::shared_ptr<const std::string> not_applied_in_images;
  // Its task counts as done when its pod runs and is ready; the pod is ended when nothing else in its dag is left.
  bool daemon = false;
};

struct Dag;

// A part of a task's pod that is told to the component, in its input of the type TASK_CONFIG.
struct Passthrough {
  enum class Field { Resources = 1, Env, Affinity, Tolerations, NodeSelector, Volumes };
  Field field = Field::Resources;
  bool apply_to_task = false;  // and holds for the pod all the same
};

// Shared by all tasks that name it; never copied for an iteration.
struct Component {
  std::string name;  // "root" for the root
  std::vector<ParameterDef> input_parameters;
  std::vector<ArtifactDef> input_artifacts;
  std::vector<ParameterDef> output_parameters;
  std::vector<ArtifactDef> output_artifacts;
  std::vector<Passthrough> passthroughs;
  std::unique_ptr<Dag> dag;            // either this
  const Executor* executor = nullptr;  // or this

  // Positions in the vectors above; -1 when there is no such name.
  int input_parameter(std::string_view name) const;
  int input_artifact(std::string_view name) const;
  int output_parameter(std::string_view name) const;
  int output_artifact(std::string_view name) const;
};

// Where a task's input comes from. `producer` is the position of a sibling task in its dag, `output` the position among
// that task's component's outputs, `component_input` the position among the enclosing component's inputs.
struct ParameterSource {
  enum class Kind { TaskOutput, Constant, RunParameter, ComponentInput, FinalStatus, Written };
  std::string name;  // of the task's input
  int input = -1;    // its position in the component; -1 for one that only placeholders in constants refer to
  Kind kind = Kind::Constant;
  int producer = -1;
  int output = -1;
  int component_input = -1;
  const json::value* constant = nullptr;
  std::string run_parameter;
  std::optional<cel::Expression> selector;  // applied to the value, which it sees as `string_value`
  Text text;                                // Kind::Written
};

struct ArtifactSource {
  std::string name;
  int input = -1;
  int producer = -1;  // -1: component_input
  int output = -1;
  int component_input = -1;
  std::optional<Text> raw;   // the content itself
  std::string global;        // the run's artifact of that name
  std::optional<Text> from;  // an expression that gives one of the artifacts it names
};

struct RetryPolicy {
  int max_retries = 0;
  uint32_t results = kFailed | kErrored;               // what is retried
  std::chrono::milliseconds max_duration{0};           // since the first attempt's start, the pause included; 0: any
  bool each_item = false;                              // of a loop: each of its items is retried, whatever it is
  std::shared_ptr<const argo::Expression> expression;  // over lastRetry: must hold for another attempt; null: none
  std::chrono::milliseconds backoff{0};
  double factor = 2.0;
  std::chrono::milliseconds max_backoff{3'600'000};
};

// A loop: over a list value or over a list of artifacts.
struct Iterator {
  bool artifacts = false;
  int item_input = -1;               // the component's input which receives each item
  int list_input = -1;               // the input which holds the list; -1 when `raw` does
  const json::value* raw = nullptr;  // a list
  int64_t parallelism = 0;           // 0: unlimited
  // The task's inputs and its `when` are texts that are filled in for each item; `item_input` is -1. One that fails
  // keeps no other from starting.
  bool each_item = false;
  std::optional<Text> list;  // with each_item: a JSON list, where neither `raw` nor `sequence` has it
  std::optional<Sequence> sequence;
};

struct Task {
  int index = 0;  // in its dag
  std::string name;
  std::string display_name;
  const Component* component = nullptr;
  std::vector<ParameterSource> parameters;
  std::vector<ArtifactSource> artifacts;
  std::vector<int> upstream;    // distinct siblings that it waits for
  std::vector<int> downstream;  // the reverse
  bool cache = false;
  std::string cache_key;
  std::optional<std::chrono::seconds> max_cache_age;  // of the outputs that it may take; nothing: any
  std::optional<cel::Expression> condition;
  bool when_completed = false;  // strategy ALL_UPSTREAM_TASKS_COMPLETED
  bool after_failure = false;   // when_completed, or downstream of such a task: starts although a sibling failed
  std::optional<Iterator> iterator;
  RetryPolicy retry;
  std::optional<Text> when;  // skipped unless this holds (engine/when.h), once it is filled in
  Depends depends;           // in a dag by branches
  uint32_t tolerated = 0;    // of kFailed and kErrored: what fails neither its dag nor what comes after
};

// One output of a dag: the first selector whose task has produced it; with `list`, what all of them have.
struct DagOutput {
  struct Selector {
    int producer = -1;
    int output = -1;
  };
  int output = -1;  // position in the component's outputs
  std::vector<Selector> selectors;
  bool collected = false;    // the value is the list which a loop inside gathered: an outer loop appends to it, flat
  std::optional<Text> text;  // where there is no selector; of an artifact, an expression that gives one
  bool required = false;     // the dag fails without it
};

struct Dag {
  std::vector<Task> tasks;
  std::vector<int> roots;  // tasks that wait for nothing
  std::vector<DagOutput> parameter_outputs;
  std::vector<DagOutput> artifact_outputs;
  // By branches, as Argo: every task says by `depends` what it starts after; a failure keeps nothing else from
  // starting; what the last tasks, or those before them which never started, came to is what the dag comes to.
  bool by_branches = false;
  bool fail_fast = false;       // by branches: after a failure nothing new starts all the same
  int64_t parallelism = 0;      // direct children at once; 0: any number
  std::vector<Text> deadlines;  // how long it may take, the shortest counting; over its component's inputs
};

// platforms.kubernetes.pipelineConfig, as far as this server acts on it.
struct PipelineConfig {
  std::string workspace_size;                     // a quantity; empty: the run has no workspace
  const json::object* workspace_patch = nullptr;  // merged into the spec of the workspace's claim
  std::chrono::seconds active_deadline{0};        // a run that takes longer is ended; 0: none
  // What it says that changes nothing, as a run's pods and claims go when it ends; null: nothing.
  std::shared_ptr<const std::string> not_applied;
  int max_in_flight = 0;  // tasks at once; 0: what the server allows
  // volumeClaimTemplates: made before the first task; gone with the run, or when it has succeeded.
  const json::array* claims = nullptr;
};

// Immutable, and shared by every run of it and by the API that shows it.
class Pipeline {
 public:
  std::string name;
  std::string display_name;
  std::string description;
  std::string default_root;         // defaultPipelineRoot
  json::value spec;                 // as it was given
  json::value platform_spec;        // null when there is none
  json::object runtime_parameters;  // of the PipelineJob form: values that its author fixed
  std::string runtime_root;         // likewise, the pipeline root
  const Component* root = nullptr;
  PipelineConfig config;
  int main_task = -1;      // in the root dag: the one whose outcome exit handlers are told; -1: the root itself
  bool recursive = false;  // components contain themselves; how deep is up to the run

  // Owned here, pointed to from everywhere.
  std::map<std::string, Component, std::less<>> components;
  std::map<std::string, Executor, std::less<>> executors;
  std::deque<json::value> values;  // constants that were rewritten from older forms
};

// Reads YAML or JSON: a PipelineSpec alone, with a PlatformSpec as a second document, both under
// `pipeline_spec`/`platform_spec`, or a PipelineJob. Throws InvalidArgument naming the path of what is wrong
// ("root.dag.tasks.train.inputs.parameters.x: …").
std::shared_ptr<const Pipeline> read_pipeline(std::string_view yaml_or_json);
std::shared_ptr<const Pipeline> from_json(json::value spec, json::value platform_spec = nullptr);

// True for documents of the v1 SDK (`kind: Workflow`), which the functions above refuse.
bool is_v1_workflow(const json::value& document);

// Does `value` fit `type`? Gives it as a task receives it: STRING takes other values as their JSON text, whole numbers
// become integers. Throws InvalidArgument whose message starts with `where`.
json::value convert(const json::value& value, ParameterType type, std::string_view where);

// Does convert() give `value` itself? (Without the copy.)
bool is_exactly(const json::value& value, ParameterType type);

// A value's text as placeholders insert it: strings as they are, whole numbers without fraction, the rest as JSON.
std::string text_of(const json::value& value);

}  // namespace penstock::ir
