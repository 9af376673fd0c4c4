// The steps of reading a workflow, one source file each. Internal to argo/.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pipelines/argo/expr.h"
#include "pipelines/argo/template.h"
#include "pipelines/ir/reader.h"

namespace penstock::argo {

// What a template says, and the component that comes of it.
struct Template {
  const json::object* spec = nullptr;
  std::string path;  // "spec.templates.flip"
  ir::Component* component = nullptr;
  bool captures = false;  // somebody asks for its outputs.result
};

// What the names in a text may mean at a place of a workflow.
struct Scope {
  const ir::Component* component = nullptr;  // whose inputs they are
  const ir::Dag* dag = nullptr;              // whose tasks they are; null: none are known
  const std::map<std::string, int, std::less<>>* names = nullptr;
  std::string_view siblings = "tasks";  // or "steps"
  bool item = false;                    // inside of a loop
};

class Translator {
 public:
  explicit Translator(ir::Pipeline& pipeline) : pipeline_(pipeline) {}
  void read();

  // texts.cpp: throws InvalidArgument naming `path` for a reference that means nothing.
  ir::Text text(std::string_view text, const Scope& scope, const std::string& path) const;
  // Checks a text of a leaf, whose references are filled in by name.
  void check_leaf(const json::value& value, const Template& from, const std::string& path) const;

  // dags.cpp
  void read_dag(Template& from, ir::Component& into);
  void read_steps(Template& from, ir::Component& into);

  // leaves.cpp
  void read_leaf(Template& from);

 private:
  friend class DagTranslator;
  friend class LeafTranslator;

  void read_spec();
  void find_templates();
  void find_captures(const json::value& value);
  void read_definitions(Template& from);
  void read_root();
  void read_implementation(Template& from, ir::Component& into);
  std::string exit_handler() const;

  // policies.cpp: of a task that calls `callee`.
  void read_policies(ir::Task& task, const json::object& spec, const Template& callee, const std::string& path) const;
  void read_retry(ir::RetryPolicy& retry, const json::object& spec, const Template& callee,
                  const std::string& path) const;
  std::shared_ptr<const Expression> retry_expression(const std::string& text, const Template& callee,
                                                     const std::string& path) const;

  void add_exit_handler(ir::Component& root, const std::string& handler, const std::string& entry);
  void mark_recursion();
  const json::value& keep(json::value value) { return pipeline_.values.emplace_back(std::move(value)); }
  ir::Reference variable(std::string_view tag, const std::string& path) const;
  void check_name(std::string_view tag, const Template& from, const std::string& path) const;
  Expression parse_expression(std::string_view text, const std::string& path) const;
  void check_common(const std::vector<std::string>& names, const ir::Component& component, std::string_view tag,
                    const std::string& path) const;
  ir::Reference expression(std::string_view tag, const Scope& scope, const std::string& path) const;

  ir::Pipeline& pipeline_;
  const json::object* workflow_ = nullptr;
  const json::object* spec_ = nullptr;
  std::map<std::string, Template, std::less<>> templates_;
  std::set<std::string, std::less<>> captured_;  // names of tasks whose outputs.result is asked for
  std::set<const ir::Component*> called_;        // by a task
  std::string not_applied_;                      // of the whole workflow
};

// fields.cpp. Each throws InvalidArgument for a member that is neither in `known` nor in `without_effect`; gives the
// names of those without effect.
std::string check_fields(const json::object& object, std::string_view path,
                         std::initializer_list<std::string_view> known,
                         std::initializer_list<std::string_view> without_effect = {});
void add_names(std::string& list, std::string_view names);
// A value as Argo takes one: numbers and truth values become texts, the rest is refused.
std::string any_text(const json::value& value, std::string_view path);

// A whole number of at least 0.
int64_t whole(const json::object& object, std::string_view name, int64_t fallback, const std::string& path);

// leaves.cpp: a container that runs `kubectl delete KIND NAME`, which is what the SDK makes of ResourceOp.delete().
bool is_delete_step(const Template& from);

// depends.cpp
using TaskNames = std::map<std::string, int, std::less<>>;
// `tolerated` are the siblings' ir::Task::tolerated, for a name without a result. Adds those it names to `upstream`.
ir::Depends parse_depends(std::string_view text, const TaskNames& names, const std::vector<uint32_t>& tolerated,
                          std::vector<int>& upstream, const std::string& path);
ir::Depends after(int task, uint32_t tolerated);

}  // namespace penstock::argo
