#include <archive.h>
#include <archive_entry.h>

#include "pipelines/api/fixture.h"

using namespace penstock;
using namespace penstock::pipelines;

namespace {

std::string pack(bool zip, const std::vector<std::pair<std::string, std::string>>& files) {
  std::string out(files.empty() ? 65'536 : files[0].second.size() + 65'536, '\0');
  size_t used = 0;
  archive* a = archive_write_new();
  if (zip) {
    archive_write_set_format_zip(a);
  } else {
    archive_write_add_filter_gzip(a);
    archive_write_set_format_pax_restricted(a);
  }
  archive_write_open_memory(a, out.data(), out.size(), &used);
  for (const auto& [name, content] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_write_header(a, entry);
    archive_write_data(a, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(a);
  archive_write_free(a);
  out.resize(used);
  return out;
}

}  // namespace

TEST_CASE_FIXTURE(ApiFixture, "experiments") {
  const Reply made = post("/experiments", {{"displayName", "e1"}, {"description", "d"}, {"namespace", "team"}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const std::string id = made.string("experiment_id");
  CHECK(made.string("storage_state") == "AVAILABLE");
  CHECK_FALSE(made.body.as_object().contains("namespace"));
  CHECK(get("/experiments/" + id).body == made.body);
  const Reply again = post("/experiments", {{"display_name", "e1"}});
  CHECK(again.status == 409);
  CHECK(again.body.at("code") == 6);
  CHECK(post("/experiments", json::object()).status == 400);
  CHECK(post("/experiments", {{"display_name", std::string(129, 'x')}}).status == 400);
  CHECK(get("/experiments/none").status == 404);

  const Reply list = get("/experiments?sort_by=display_name%20desc");
  REQUIRE(list.array("experiments").size() == 2);
  CHECK(list.array("experiments")[0].at("display_name") == "e1");
  CHECK(list.array("experiments")[1].at("display_name") == "Default");
  const Reply found =
      get("/experiments?filter=%7B%22predicates%22%3A%5B%7B%22operation%22%3A%22EQUALS%22%2C%22key%22%3A"
          "%22display_name%22%2C%22stringValue%22%3A%22e1%22%7D%5D%7D");
  CHECK(found.array("experiments").size() == 1);

  const std::string run = make_run("r", id);
  CHECK(post("/experiments/" + id + ":archive").text == "{}");
  CHECK(get("/runs/" + run).string("storage_state") == "ARCHIVED");
  CHECK(post("/runs/" + run + ":unarchive").status == 400);
  CHECK(post("/runs", {{"display_name", "late"},
                       {"experiment_id", id},
                       {"pipeline_spec", parse_json(hello_spec())},
                       {"runtime_config", {{"parameters", {{"count", 1}}}}}})
            .status == 400);
  CHECK(post("/experiments/" + id + ":unarchive").text == "{}");
  CHECK(get("/runs/" + run).string("storage_state") == "ARCHIVED");
  CHECK(post("/runs/" + run + ":unarchive").status == 200);
  CHECK(remove("/experiments/" + id).text == "{}");
  CHECK(get("/runs/" + run).status == 200);
  CHECK(remove("/experiments/" + id).status == 404);
  CHECK(remove("/experiments/" + store.default_experiment_id()).status == 409);
}

TEST_CASE_FIXTURE(ApiFixture, "pipelines, versions and tags") {
  const Reply made = post("/pipelines", {{"display_name", "p"}, {"tags", {{"team", "a"}}}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  const std::string id = made.string("pipeline_id");
  CHECK(made.string("name") == "p");
  CHECK(get("/pipelines/names/p").string("pipeline_id") == id);
  CHECK(get("/pipelines/names/q").status == 404);
  CHECK(post("/pipelines", {{"name", "p"}}).status == 409);
  CHECK(post("/pipelines", json::object()).status == 400);
  CHECK(post("/pipelines", {{"name", "t"}, {"tags", {{"a.b", "c"}}}}).status == 400);
  CHECK(post("/pipelines", {{"display_name", std::string(129, 'x')}}).status == 400);

  const std::string versions = "/pipelines/" + id + "/versions";
  const json::value spec = parse_json(hello_spec());
  const Reply version = post(versions, {{"display_name", "v1"}, {"pipeline_spec", spec}});
  REQUIRE_MESSAGE(version.status == 200, version.text);
  const std::string version_id = version.string("pipeline_version_id");
  CHECK(version.body.at("pipeline_spec") == spec);
  CHECK(get(versions + "/" + version_id).body == version.body);
  CHECK(get(versions).array("pipeline_versions")[0] == version.body);
  CHECK(post(versions, {{"display_name", "v1"}, {"pipeline_spec", spec}}).status == 409);
  CHECK(post(versions, {{"display_name", "v2"}}).status == 400);
  CHECK(post(versions, {{"pipeline_spec", spec}}).status == 400);
  CHECK(post("/pipelines/none/versions", {{"display_name", "v"}, {"pipeline_spec", spec}}).status == 404);
  CHECK(post(versions, {{"display_name", "v"}, {"package_url", {{"pipeline_url", "http://x"}}}}).status == 400);
  CHECK(get("/pipelines/other/versions/" + version_id).status == 404);

  const json::value with_platform =
      json::object{{"pipeline_spec", spec}, {"platform_spec", {{"platforms", {{"kubernetes", json::object()}}}}}};
  const Reply both = post(versions, {{"display_name", "v3"}, {"pipeline_spec", with_platform}});
  REQUIRE_MESSAGE(both.status == 200, both.text);
  CHECK(both.body.at("pipeline_spec") == with_platform);

  const Reply changed = call(http::Method::Patch, "/pipelines/" + id, R"({"description":"new","tags":{}})");
  CHECK(changed.string("description") == "new");
  CHECK(changed.string("display_name") == "p");
  CHECK_FALSE(changed.body.as_object().contains("tags"));
  CHECK(call(http::Method::Patch, versions + "/" + version_id, R"({"tags":{"stage":"prod"}})")
            .body.at("tags")
            .at("stage") == "prod");
  CHECK(get(versions + R"(?filter={"predicates":[{"operation":"EQUALS","key":"tags.stage","string_value":"prod"}]})")
            .array("pipeline_versions")
            .size() == 1);

  CHECK(remove("/pipelines/" + id).status == 400);
  CHECK(remove(versions + "/" + version_id).text == "{}");
  CHECK(remove(versions + "/" + version_id).status == 404);
  CHECK(remove("/pipelines/" + id + "?cascade=maybe").status == 400);
  CHECK(remove("/pipelines/" + id + "?cascade=true").text == "{}");
  CHECK(get("/pipelines/" + id).status == 404);
  CHECK(get(versions).status == 404);
  CHECK(get("/pipelines").text == "{}");
}

TEST_CASE_FIXTURE(ApiFixture, "pipeline and version in one request") {
  const json::value spec = parse_json(hello_spec());
  const Reply made = post("/pipelines/create",
                          {{"pipeline", {{"display_name", "p"}}}, {"pipeline_version", {{"pipeline_spec", spec}}}});
  REQUIRE_MESSAGE(made.status == 200, made.text);
  CHECK(get("/pipelines/" + made.string("pipeline_id") + "/versions").array("pipeline_versions").size() == 1);
  CHECK(post("/pipelines/create", {{"pipeline", {{"display_name", "q"}}}, {"pipeline_version", {{"name", "v"}}}})
            .status == 400);
  CHECK(get("/pipelines").body.at("total_size") == 1);
}

TEST_CASE_FIXTURE(ApiFixture, "uploads of every kind of package") {
  const std::string yaml = to_yaml(parse_json(hello_spec()));
  const std::string two = yaml + "\n---\nplatforms:\n  kubernetes:\n    deploymentSpec: {}\n";
  const std::pair<const char*, std::string> files[] = {
      {"a.yaml", yaml},
      {"b.yml", "# PIPELINE DEFINITION\n" + yaml},
      {"c.json", hello_spec()},
      {"d.yaml", two},
      {"e.zip", pack(true, {{"readme.txt", "x"}, {"pipeline.yaml", yaml}})},
      {"f.tar.gz", pack(false, {{"any.yaml", yaml}})},
      {"g", pack(false, {{"any.json", hello_spec()}})},
      {"h.yaml", "\r\n" + yaml + "\r\n"},
  };
  for (const auto& [name, content] : files) {
    CAPTURE(name);
    const Reply reply = upload("/pipelines/upload", name, content);
    REQUIRE_MESSAGE(reply.status == 200, reply.text);
    CHECK(reply.string("name") == name);
    const Reply versions = get("/pipelines/" + reply.string("pipeline_id") + "/versions");
    REQUIRE(versions.array("pipeline_versions").size() == 1);
    const json::object& spec = versions.array("pipeline_versions")[0].at("pipeline_spec").as_object();
    CHECK(spec.contains("platform_spec") == (std::string_view(name) == "d.yaml"));
  }
  const Reply named =
      upload("/pipelines/upload?name=n&display_name=Named&description=d&tags=%7B%22a%22%3A%22b%22%7D", "a.yaml", yaml);
  CHECK(named.string("display_name") == "Named");
  CHECK(named.body.at("tags").at("a") == "b");
  const Reply version = upload("/pipelines/upload_version?name=v2&pipelineid=" + named.string("pipeline_id"), "a.yaml",
                               hello_spec("other"));
  REQUIRE_MESSAGE(version.status == 200, version.text);
  CHECK(version.body.at("pipeline_spec").at("pipelineInfo").at("name") == "other");
}

TEST_CASE_FIXTURE(ApiFixture, "uploads that are refused leave nothing") {
  const std::string yaml = to_yaml(parse_json(hello_spec()));
  json::value no_name = parse_json(hello_spec());
  no_name.at("pipelineInfo").as_object().erase("name");
  const std::string bomb = pack(false, {{"pipeline.yaml", std::string(20u << 20, ' ')}});
  const struct {
    const char* path;
    const char* file;
    std::string content;
    int status;
  } cases[] = {
      {"/pipelines/upload", "empty_file.yaml", "", 400},
      {"/pipelines/upload", "blank.yaml", " \n", 400},
      {"/pipelines/upload", "empty_zip.zip", pack(true, {}), 400},
      {"/pipelines/upload", "invalid-zip.zip", "PK\x03\x04nonsense", 400},
      {"/pipelines/upload", "broken.tar.gz", "\x1f\x8bnonsense", 400},
      {"/pipelines/upload", "picture.zip", pack(true, {{"a.png", "png"}}), 400},
      {"/pipelines/upload", "invalid_yaml.yaml", "a: [1", 400},
      {"/pipelines/upload", "no_name.yaml", to_yaml(no_name), 400},
      {"/pipelines/upload", "wrong_format.png", "\x89PNG", 400},
      {"/pipelines/upload", "list.yaml", "- 1\n- 2\n", 400},
      {"/pipelines/upload", "other.yaml", "a: 1\n", 400},
      {"/pipelines/upload", "argo.yaml", "kind: Workflow\nspec: {}\n", 400},
      {"/pipelines/upload?tags=nonsense", "a.yaml", yaml, 400},
      {"/pipelines/upload", "bomb.tar.gz", bomb, 413},
      {"/pipelines/upload", "big.yaml", std::string(9u << 20, 'x'), 413},
      {"/pipelines/upload_version", "a.yaml", yaml, 400},
      {"/pipelines/upload_version?pipelineid=none", "a.yaml", yaml, 404},
  };
  for (const auto& c : cases) {
    CAPTURE(c.file);
    const Reply reply = upload(c.path, c.file, c.content);
    CHECK_MESSAGE(reply.status == c.status, reply.text);
    CHECK_FALSE(reply.string("error_message").empty());
    CHECK_FALSE(reply.string("error_details").empty());
  }
  CHECK(upload("/pipelines/upload?name=" + std::string(129, 'n'), "a.yaml", yaml).status == 400);
  CHECK(call(http::Method::Post, "/pipelines/upload", yaml, "text/yaml").status == 400);
  CHECK(call(http::Method::Post, "/pipelines/upload", "--b\r\n\r\n", "multipart/form-data; boundary=b").status == 400);
  CHECK(call(http::Method::Post, "/pipelines/upload", "", "multipart/form-data; boundary=b").status == 400);
  CHECK(get("/pipelines").text == "{}");
  database.read_now([](db::Connection& c) {
    auto rows = c.query("SELECT COUNT(*) FROM specs");
    CHECK(rows.next());
    CHECK(rows.integer(0) == 0);
  });

  CHECK(upload("/pipelines/upload", "a.yaml", yaml).status == 200);
  CHECK(upload("/pipelines/upload", "a.yaml", yaml).status == 409);
}
