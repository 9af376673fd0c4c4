#include "node/python_bootstrap.h"

#include <doctest/doctest.h>

using namespace penstock::node;

namespace {

const std::string kPipCheck =
    "\nif ! [ -x \"$(command -v pip)\" ]; then\n    python3 -m ensurepip || python3 -m ensurepip --user || apt-get "
    "install python3-pip\nfi\n\n";
const std::string kPip = "python3 -m pip install --quiet --no-warn-script-location ";
const std::string kCheck = "PIP_DISABLE_PIP_VERSION_CHECK=1 ";
const std::string kOwnKfp = "'kfp==2.14.3' '--no-deps' 'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'";
const std::string kRun = " && \"$0\" \"$@\"";
const std::string kVenv =
    "\nexport PIP_DISABLE_PIP_VERSION_CHECK=1\ntmp=$(mktemp -d)\npython3 -m venv \"$tmp/venv\" "
    "--system-site-packages\n. \"$tmp/venv/bin/activate\"\n";

std::string executor(const std::string& start = "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main") {
  return "program_path=$(mktemp -d)\n\nprintf \"%s\" \"$0\" > \"$program_path/ephemeral_component.py\"\n" + start +
         "                         --component_module_path                         "
         "\"$program_path/ephemeral_component.py\"                         \"$@\"\n";
}

std::vector<std::string> v2(const std::string& script, const std::string& program = executor()) {
  return {"sh", "-c", script, "sh", "-ec", program, "def f(): pass", "--executor_input", "{}"};
}

PythonBootstrap parsed(const std::vector<std::string>& argv) {
  const auto bootstrap = parse_bootstrap(argv);
  REQUIRE(bootstrap);
  CHECK(bootstrap->rest == 3);
  return *bootstrap;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("bootstrap: only the SDK's own kfp is nothing to install") {
  for (const std::string& own : {kOwnKfp, std::string("'kfp==2.0.0-beta.13'"), std::string("'kfp==1.8.22'"),
                                 std::string("'kfp==2.0.1' '--no-deps'")}) {
    CAPTURE(own);
    const auto found = parsed(v2(kPipCheck + kCheck + kPip + own + kRun + "\n"));
    CHECK(found.installs.empty());
    CHECK(found.wants_kfp);
    CHECK_FALSE(found.user_kfp);
  }
}

TEST_CASE("bootstrap: packages before, after and beside kfp") {
  const auto before = parsed(v2(kPipCheck + kCheck + kPip + "'yapf'  &&  " + kPip + kOwnKfp + kRun + "\n"));
  REQUIRE(before.installs.size() == 1);
  CHECK(before.installs[0] == PipInstall{{"yapf"}, {}});
  CHECK(before.wants_kfp);

  const auto after = parsed(
      v2(kPipCheck + kCheck + kPip + kOwnKfp + "  &&  " + kPip + "'pandas==2.2.0' 'scikit-learn==1.4.0'" + kRun));
  REQUIRE(after.installs.size() == 1);
  CHECK(after.installs[0].requirements == Words{"pandas==2.2.0", "scikit-learn==1.4.0"});

  const auto beside = parsed(v2(kCheck +
                                "python3 -m pip install --quiet     --no-warn-script-location "
                                "'pandas' 'kfp==2.0.0-beta.13'" +
                                kRun + "\n"));
  REQUIRE(beside.installs.size() == 1);
  CHECK(beside.installs[0].requirements == Words{"pandas"});
  CHECK(beside.wants_kfp);
}

TEST_CASE("bootstrap: index options are kept") {
  const std::string options = "--index-url https://a/simple --extra-index-url https://b/simple --trusted-host a ";
  const auto found = parsed(v2(kPipCheck + kCheck + kPip + options + "'yapf'  &&  " + kPip + options + kOwnKfp + kRun));
  REQUIRE(found.installs.size() == 1);
  CHECK(found.installs[0].requirements == Words{"yapf"});
  CHECK(found.installs[0].options ==
        Words{"--index-url", "https://a/simple", "--extra-index-url", "https://b/simple", "--trusted-host", "a"});
  const auto joined = parsed(v2(kPip + "--index-url=https://a/simple --pre 'x'" + kRun));
  CHECK(joined.installs[0].options == Words{"--index-url", "https://a/simple", "--pre"});
}

TEST_CASE("bootstrap: the venv form") {
  const auto found = parsed(v2(kPipCheck + kCheck + kPip + "'yapf'  &&  " + kVenv + " " + kPip + kOwnKfp + kRun));
  REQUIRE(found.installs.size() == 1);
  CHECK(found.installs[0].requirements == Words{"yapf"});
  const auto first = parsed(v2(kPipCheck + kVenv + kPip + "'yapf' && " + kPip + kOwnKfp + kRun + "\n"));
  REQUIRE(first.installs.size() == 1);
}

TEST_CASE("bootstrap: the v1 form tries twice and is one install") {
  const std::string packages = "'dill==0.3.4' 'pandas>=1,<2; python_version<\"3.9\"'";
  const std::vector<std::string> argv = {
      "sh",
      "-c",
      "(" + kCheck + kPip + packages + " || " + kCheck + kPip + packages + " --user) && \"$0\" \"$@\"",
      "sh",
      "-ec",
      "program_path=$(mktemp)\nprintf \"%s\" \"$0\" > \"$program_path\"\npython3 -u \"$program_path\" \"$@\"\n",
      "print(1)",
      "--x",
      "1"};
  const auto found = parsed(argv);
  REQUIRE(found.installs.size() == 1);
  CHECK(found.installs[0] == PipInstall{{"dill==0.3.4", "pandas>=1,<2; python_version<\"3.9\""}, {}});
  CHECK_FALSE(found.wants_kfp);
  const auto program = parse_program(argv, found.rest);
  REQUIRE(program);
  CHECK(program->kind == PythonProgram::Kind::kScript);
  CHECK(program->source == 6);
  CHECK(program->args == 7);
}

TEST_CASE("bootstrap: kfp that the author listed is installed") {
  const auto pinned = parsed(v2(kPipCheck + kCheck + kPip + "'kfp==2.7.0' 'pandas'" + kRun));
  REQUIRE(pinned.installs.size() == 1);
  CHECK(pinned.installs[0].requirements == Words{"kfp==2.7.0", "pandas"});
  CHECK(pinned.user_kfp);
  CHECK_FALSE(pinned.wants_kfp);
  CHECK(parsed(v2(kPip + "'kfp[kubernetes]'" + kRun)).user_kfp);
  CHECK_FALSE(parsed(v2(kPip + "'kfp-kubernetes'" + kRun)).user_kfp);
  CHECK(
      parsed(v2(kPip + "'git+https://github.com/kubeflow/pipelines@master#subdirectory=sdk/python' '--no-deps'" + kRun))
          .user_kfp);
  // Not the program of a KFP executor: the pin is the author's, whatever its version.
  const auto v1 = parsed({"sh", "-c", kPip + "'kfp==1.8.22'" + kRun, "python3", "train.py"});
  CHECK(v1.user_kfp);
  REQUIRE(v1.installs.size() == 1);
}

TEST_CASE("bootstrap: typing-extensions of the author's stays") {
  const auto found = parsed(v2(kPip + "'typing-extensions==4.9.0'  &&  " + kPip + kOwnKfp + kRun));
  REQUIRE(found.installs.size() == 1);
  CHECK(found.installs[0].requirements == Words{"typing-extensions==4.9.0"});
}

TEST_CASE("bootstrap: what is not exactly known is left to the shell") {
  const std::vector<std::string> scripts = {
      "echo hello" + kRun,
      kPip + "'x'; \"$0\" \"$@\"",
      kPip + "'x'\n\"$0\" \"$@\"",
      kPip + "'x' || true && \"$0\" \"$@\"",
      kPip + "'x' > /dev/null" + kRun,
      kPip + "pandas>1.0" + kRun,
      kPip + "$EXTRA" + kRun,
      kPip + "\"$EXTRA\"" + kRun,
      kPip + "`cat list`" + kRun,
      kPip + "-r requirements.txt" + kRun,
      kPip + "-e ." + kRun,
      kPip + "./package" + kRun,
      kPip + "/tmp/x.whl" + kRun,
      kPip + "'file:///tmp/x.whl'" + kRun,
      kPip + "--target /tmp/x 'x'" + kRun,
      kPip + "--no-such-option 'x'" + kRun,
      kPip + "--index-url" + kRun,
      kPip + kRun,
      kPip + "'unfinished" + kRun,
      kPip + "'x'" + kRun + " && echo done",
      kPip + "'x' & \"$0\" \"$@\"",
      kPip + "'x' && \"$0\"",
      "apt-get install -y git && " + kPip + "'x'" + kRun,
      "PIP_INDEX_URL=https://a " + kPip + "'x'" + kRun,
      "",
  };
  for (const auto& script : scripts) {
    CAPTURE(script);
    CHECK_FALSE(parse_bootstrap(v2(script)));
  }
  CHECK_FALSE(parse_bootstrap({}));
  CHECK_FALSE(parse_bootstrap({"sh", "-c", kPip + "'x'" + kRun}));
  CHECK_FALSE(parse_bootstrap({"python3", "-c", kPip + "'x'" + kRun, "x"}));
  CHECK_FALSE(parse_bootstrap({"sh", "-xc", kPip + "'x'" + kRun, "x"}));
}

TEST_CASE("bootstrap: shells and pips by other names") {
  CHECK(parse_bootstrap({"/bin/bash", "-ec", "pip install 'x'" + kRun, "python3", "a.py"}));
  CHECK(parse_bootstrap({"bash", "-c", "pip3 install -q x" + kRun, "python3", "a.py"}));
  CHECK(parse_bootstrap({"sh", "-c", "python -m pip install \\\n  x y" + kRun, "python3", "a.py"}));
}

TEST_CASE("program: the executors of all SDKs") {
  for (const std::string start :
       {"_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main",
        "_KFP_RUNTIME=true python3 -m kfp.components.executor_main", "python3 -m kfp.v2.components.executor_main",
        "_KFP_RUNTIME=true python -u -m kfp.dsl.executor_main"}) {
    CAPTURE(start);
    const std::vector<std::string> argv = {"sh", "-ec", executor(start), "source", "--executor_input", "{}"};
    const auto program = parse_program(argv, 0);
    REQUIRE(program);
    CHECK(program->kind == PythonProgram::Kind::kExecutor);
    CHECK(start.ends_with(program->module));
    CHECK(program->source == 3);
    CHECK(program->args == 4);
  }
}

TEST_CASE("program: others are left alone") {
  const std::vector<std::string> programs = {
      "",
      "program_path=$(mktemp)",
      executor("_KFP_RUNTIME=true python3 -m os.executor_main"),
      executor("_KFP_RUNTIME=true python3 -m kfp.dsl.other"),
      executor("sleep 1; python3 -m kfp.dsl.executor_main"),
      executor() + "; echo done",
      "program_path=$(mktemp)\nprintf \"%s\" \"$0\" > \"$program_path\"\npython2 -u \"$program_path\" \"$@\"\n",
  };
  for (const auto& program : programs) {
    CAPTURE(program);
    CHECK_FALSE(parse_program({"sh", "-ec", program, "source"}, 0));
  }
  CHECK_FALSE(parse_program({"sh", "-ec", executor()}, 0));
  CHECK_FALSE(parse_program({"sh", "-c", "echo", "a"}, 7));
}
