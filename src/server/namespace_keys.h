// Gives each namespace an S3 key of its own, as the Secret "mlpipeline-minio-artifact" with "accesskey" and "secretkey"
// that Kubeflow's clients look for. The Secret is made when the namespace is, and made again when it is deleted; who
// writes other values into it changes the key. It ends with the namespace. On the control loop.
#pragma once

#include "kube/controller.h"
#include "objects/s3/keys.h"

namespace penstock::server {

class NamespaceKeys {
 public:
  // Both must outlive it.
  NamespaceKeys(Executor executor, kube::Api& api, objects::Keys& keys);
  void start() { controller_.start(); }
  Async<> stop() { return controller_.stop(); }

 private:
  Async<kube::Controller::Again> reconcile(std::string ns);
  Async<kube::Object> secret_of(std::string ns);

  kube::Api& api_;
  objects::Keys& keys_;
  kube::Controller controller_;
  kube::Informer& namespaces_;
};

}  // namespace penstock::server
