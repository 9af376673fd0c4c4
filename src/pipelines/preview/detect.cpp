#include "pipelines/preview/detect.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/preview/table.h"

namespace penstock::pipelines::preview {

namespace {

struct Magic {
  std::string_view bytes;
  Kind kind;
  std::string_view media_type;
  std::string_view format{};
};

using namespace std::string_view_literals;

constexpr Magic kMagic[] = {
    {"\x89PNG\r\n\x1a\n"sv, Kind::Image, "image/png"},
    {"\xff\xd8\xff"sv, Kind::Image, "image/jpeg"},
    {"GIF87a"sv, Kind::Image, "image/gif"},
    {"GIF89a"sv, Kind::Image, "image/gif"},
    {"PAR1"sv, Kind::Parquet, "application/vnd.apache.parquet"},
    {"\x93NUMPY"sv, Kind::Npy, "application/octet-stream", "npy"},
    {"\x89HDF\r\n\x1a\n"sv, Kind::Model, "application/x-hdf5", "hdf5"},
    {"GGUF"sv, Kind::Model, "application/octet-stream", "gguf"},
    {"PK\x03\x04"sv, Kind::Archive, "application/zip"},
    {"PK\x05\x06"sv, Kind::Archive, "application/zip"},
    {"\x1f\x8b"sv, Kind::Archive, "application/gzip"},
    {"BZh"sv, Kind::Archive, "application/x-bzip2"},
    {"\xfd\x37zXZ\0"sv, Kind::Archive, "application/x-xz"},
    {"\x28\xb5\x2f\xfd"sv, Kind::Archive, "application/zstd"},
    {"%PDF-"sv, Kind::Binary, "application/pdf", "pdf"},
    {"ARROW1"sv, Kind::Binary, "application/vnd.apache.arrow.file", "arrow"},
    {"Obj\x01"sv, Kind::Binary, "application/avro", "avro"},
    {"SQLite format 3\0"sv, Kind::Binary, "application/vnd.sqlite3", "sqlite"},
};

// Of what has no beginning that tells it from other things.
constexpr Magic kExtensions[] = {
    {".pkl", Kind::Model, "application/octet-stream", "pickle"},
    {".pickle", Kind::Model, "application/octet-stream", "pickle"},
    {".joblib", Kind::Model, "application/octet-stream", "joblib"},
    {".onnx", Kind::Model, "application/octet-stream", "onnx"},
    {".pb", Kind::Model, "application/octet-stream", "protobuf"},
    {".safetensors", Kind::Model, "application/octet-stream", "safetensors"},
    {".tflite", Kind::Model, "application/octet-stream", "tflite"},
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

std::optional<Detected> by_magic(std::string_view head) {
  for (const Magic& magic : kMagic) {
    if (head.starts_with(magic.bytes))
      return Detected{magic.kind, std::string(magic.media_type), std::string(magic.format)};
  }
  if (head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP") {
    return Detected{Kind::Image, "image/webp"};
  }
  if (head.size() >= 262 && head.substr(257, 5) == "ustar") return Detected{Kind::Archive, "application/x-tar"};
  // Pickle's opcode for the version of its protocol, 2 to 5.
  if (head.size() >= 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5) {
    return Detected{Kind::Model, "application/octet-stream", "pickle"};
  }
  // The length of its JSON header, which begins at once.
  if (head.size() >= 10 && head.substr(8, 2) == "{\"" && head.substr(4, 4) == "\0\0\0\0"sv) {
    return Detected{Kind::Model, "application/octet-stream", "safetensors"};
  }
  return std::nullopt;
}

// "<svg", perhaps behind an XML declaration, comments and a document type.
bool is_svg(std::string_view text) {
  if (!text.starts_with("<?xml") && !text.starts_with("<svg") && !text.starts_with("<!")) return false;
  return lower(text.substr(0, 2'000)).find("<svg") != std::string::npos;
}

bool is_html(std::string_view text) {
  const std::string begin = lower(text.substr(0, 200));
  return begin.starts_with("<!doctype html") || begin.starts_with("<html") || begin.starts_with("<body") ||
         begin.starts_with("<head");
}

// Its first two lines are JSON each.
bool is_json_lines(std::string_view text) {
  size_t lines = 0;
  while (lines < 2) {
    text = trimmed(text);
    const size_t end = text.find('\n');
    if (!text.starts_with('{') || (end == std::string_view::npos && lines == 0)) return false;
    try {
      parse_json(text.substr(0, end));
    } catch (const Error&) {
      return false;
    }
    ++lines;
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines == 2;
}

Detected of_text(std::string_view raw, bool cut, std::string_view name, std::string_view schema_title) {
  const std::string whole = decode_text(raw, cut).text;
  const std::string_view text = trimmed(whole);
  const auto named = [&](std::string_view extension) { return name.ends_with(extension); };
  const Detected html{Kind::Html, "text/html"}, markdown{Kind::Markdown, "text/markdown"};
  if (schema_title == "system.HTML") return html;
  if (schema_title == "system.Markdown") return markdown;
  if (is_svg(text)) return {Kind::Image, "image/svg+xml"};
  if (is_html(text) || named(".html") || named(".htm")) return html;
  if (text.starts_with('{') || text.starts_with('[')) {
    if (named(".ipynb") || (text.starts_with('{') && text.find("\"nbformat\"") != std::string_view::npos &&
                            text.find("\"cells\"") != std::string_view::npos)) {
      return {Kind::Notebook, "application/x-ipynb+json"};
    }
    if (named(".jsonl") || named(".ndjson") || is_json_lines(text)) return {Kind::JsonLines, "application/x-ndjson"};
    bool json = cut || named(".json");
    try {
      if (!json) parse_json(text);
      json = true;
    } catch (const Error&) {
    }
    if (json) return {Kind::Json, "application/json"};
  }
  if (named(".md") || named(".markdown")) return markdown;
  if (named(".csv") || looks_like_table(whole, cut)) return {Kind::Csv, "text/csv"};
  if (named(".tsv")) return {Kind::Csv, "text/tab-separated-values"};
  return {Kind::Text, "text/plain"};
}

}  // namespace

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::Empty: return "empty";
    case Kind::Csv: return "csv";
    case Kind::Json: return "json";
    case Kind::JsonLines: return "jsonl";
    case Kind::Notebook: return "notebook";
    case Kind::Markdown: return "markdown";
    case Kind::Html: return "html";
    case Kind::Text: return "text";
    case Kind::Image: return "image";
    case Kind::Parquet: return "parquet";
    case Kind::Npy: return "npy";
    case Kind::Archive: return "archive";
    case Kind::Model: return "model";
    case Kind::Binary: break;
  }
  return "binary";
}

Detected detect(std::string_view head, bool cut, std::string_view file_name, std::string_view schema_title) {
  if (head.empty()) return {Kind::Empty, "application/octet-stream"};
  if (auto found = by_magic(head)) return *found;
  const std::string name = lower(file_name);
  if (is_text(head, cut)) return of_text(head, cut, name, schema_title);
  for (const Magic& one : kExtensions) {
    if (name.ends_with(one.bytes)) return {one.kind, std::string(one.media_type), std::string(one.format)};
  }
  return {};
}

}  // namespace penstock::pipelines::preview
