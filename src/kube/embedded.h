// The resource store inside this process: objects in memory, owned by the control loop, and kept in SQLite.
//
// A change takes place on the control loop: it gets its version and watchers are told. A durable change is answered
// when its row is synced to disk; it is seen by others before that, and nobody outside this process is told of success
// before. When its row cannot be written (a full disk) the change is undone, as a further change that watchers see, and
// the caller gets the error. A change that is not durable is answered at once; its row is written a moment later,
// together with others, or with the next durable change if that is sooner: of an object that comes and goes within that
// moment the database learns nothing. Rows that could not be written are written again with the next ones.
#pragma once

#include "db/database.h"
#include "kube/kinds.h"

namespace penstock::kube {

struct EmbeddedOptions {
  size_t history = 128;                       // events kept for watches that resume
  std::chrono::milliseconds write_delay{50};  // of changes that are not durable
  std::chrono::seconds bookmark_every{60};    // for watches that want them
  std::chrono::seconds event_ttl{3600};       // Events that last happened before are deleted
};

class EmbeddedApi : public Api {
 public:
  // `control` must outlive both this and `database`; `database` and `clock` must outlive this.
  EmbeddedApi(db::Database& database, Loop& control, Clock& clock, Kinds kinds = core_kinds(),
              EmbeddedOptions options = {});
  // Later turns of the control loop do nothing more; calls under way must have ended.
  ~EmbeddedApi() override;

  // The tables, for Database's constructor.
  static const db::Migrations& migrations();
  // Loads every object, and makes the namespaces default, kube-system and kubeflow. Before any other call.
  Async<> start();
  // Returns when all that was changed before is with the operating system (see WriteOptions::durable).
  Async<> await_written();
  // Tries to write all that was changed before, without the moment's delay; returns also when it cannot.
  Async<> flush();

  const Kinds& kinds() const;

  Async<Object> get(const Resource& resource, std::string ns, std::string name) override;
  Async<List> list(const Resource& resource, ListQuery query) override;
  Async<Object> create(const Resource& resource, json::object object, WriteOptions options = kDefaultWrite) override;
  Async<Object> update(const Resource& resource, json::object object, WriteOptions options = kDefaultWrite) override;
  Async<Object> patch(const Resource& resource, std::string ns, std::string name, PatchType type, json::value patch,
                      WriteOptions options = kDefaultWrite) override;
  Async<Object> remove(const Resource& resource, std::string ns, std::string name,
                       DeleteOptions options = kDefaultDelete) override;
  Async<std::unique_ptr<Watch>> watch(const Resource& resource, WatchQuery query) override;

 private:
  struct State;
  template <class Work>
  auto on_control(Work work) -> Async<std::invoke_result_t<Work>>;
  template <class Work>
  Async<Object> change(bool durable, Work work);

  std::shared_ptr<State> state_;  // shared with turns of the control loop that are on their way
};

}  // namespace penstock::kube
