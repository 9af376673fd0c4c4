#include "pipelines/preview/preview.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "pipelines/preview/archive_list.h"
#include "pipelines/preview/notebook.h"
#include "pipelines/preview/npy.h"
#include "pipelines/preview/parquet.h"
#include "pipelines/preview/table.h"

namespace penstock::pipelines::preview {

namespace {

constexpr size_t kMaxParsed = 8u << 20;   // of a JSON document, to be shown in order
constexpr size_t kMaxFooter = 32u << 20;  // of a Parquet file

struct Head {
  std::string text;
  bool cut = false;
};

Head read_head(objects::Reader& reader, size_t limit, json::object& out) {
  const std::string bytes = reader.read(0, limit);
  Head head;
  head.cut = bytes.size() < reader.size();
  Text decoded = decode_text(bytes, head.cut);
  out["encoding"] = decoded.encoding;
  head.text = std::move(decoded.text);
  return head;
}

void show_text(json::object& out, std::string text, bool truncated) {
  out["text"] = to_utf8(text);
  out["truncated"] = truncated;
}

void show_table(objects::Reader& reader, const Detected& detected, const PreviewLimits& limits, json::object& out) {
  const Head head = read_head(reader, limits.bytes, out);
  const char delimiter = detected.media_type == "text/tab-separated-values" ? '\t' : '\0';
  Table table = read_table(head.text, head.cut, {.rows = limits.rows}, delimiter);
  out["delimiter"] = std::string(1, table.delimiter);
  out["header"] = table.header;
  out["columns"] = table.columns;
  json::array rows;
  for (auto& row : table.rows) rows.push_back(json::array(row.begin(), row.end()));
  out["rows"] = std::move(rows);
  out["truncated"] = table.truncated;
}

// Writes JSON over several lines until `limit` bytes are there.
class Pretty {
 public:
  explicit Pretty(size_t limit) : limit_(limit) {}
  bool full() const { return out_.size() >= limit_; }
  std::string take() { return std::move(out_); }
  void write(const json::value& value, size_t indent) {
    if (full()) return;
    if (value.is_object() && !value.get_object().empty()) {
      out_ += '{';
      bool first = true;
      for (const auto& [key, member] : value.get_object()) {
        next(first, indent);
        out_ += json::serialize(json::value(key));
        out_ += ": ";
        write(member, indent + 2);
        if (full()) return;
      }
      end('}', indent);
    } else if (value.is_array() && !value.get_array().empty()) {
      out_ += '[';
      bool first = true;
      for (const json::value& item : value.get_array()) {
        next(first, indent);
        write(item, indent + 2);
        if (full()) return;
      }
      end(']', indent);
    } else {
      out_ += to_text(value);
    }
  }

 private:
  void next(bool& first, size_t indent) {
    if (!std::exchange(first, false)) out_ += ',';
    end_line(indent + 2);
  }
  void end(char bracket, size_t indent) {
    end_line(indent);
    out_ += bracket;
  }
  void end_line(size_t indent) {
    out_ += '\n';
    out_.append(indent, ' ');
  }
  std::string out_;
  size_t limit_;
};

void show_json(objects::Reader& reader, const PreviewLimits& limits, json::object& out) {
  if (reader.size() > kMaxParsed) {
    Head head = read_head(reader, limits.bytes, out);
    return show_text(out, std::move(head.text), head.cut);
  }
  const Head whole = read_head(reader, kMaxParsed, out);
  json::value value;
  try {
    value = parse_json(whole.text);
  } catch (const Error& error) {
    out["problem"] = error.message();
    return show_text(out, whole.text.substr(0, limits.bytes), whole.text.size() > limits.bytes);
  }
  Pretty pretty(limits.bytes);
  pretty.write(value, 0);
  std::string text = pretty.take();
  const bool truncated = text.size() > limits.bytes || pretty.full();
  if (text.size() > limits.bytes) text = decode_text(std::string_view(text).substr(0, limits.bytes), true).text;
  show_text(out, std::move(text), truncated);
}

void show_records(objects::Reader& reader, const PreviewLimits& limits, json::object& out) {
  const Head head = read_head(reader, limits.bytes, out);
  json::array records;
  bool truncated = head.cut;
  std::string_view rest = head.text;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos && head.cut) break;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (records.size() == limits.rows) {
      truncated = true;
      break;
    }
    try {
      records.push_back(parse_json(line));
    } catch (const Error& error) {
      out["problem"] = fmt::format("record {}: {}", records.size() + 1, error.message());
      break;
    }
  }
  out["records"] = std::move(records);
  out["truncated"] = truncated;
}

void show_notebook(objects::Reader& reader, const PreviewLimits& limits, json::object& out) {
  if (reader.size() > kMaxParsed) return show_json(reader, limits, out);
  const Head whole = read_head(reader, kMaxParsed, out);
  preview::show_notebook(parse_json(whole.text),
                         {.cells = limits.rows, .bytes = std::max<size_t>(limits.bytes, 1u << 20)}, out);
}

void show_parquet(objects::Reader& reader, const PreviewLimits& limits, json::object& out) {
  const uint64_t size = reader.size();
  if (size < kParquetTail + 4) throw invalid("it is too short for a Parquet file");
  const uint32_t length = parquet_footer_length(reader.read(size - kParquetTail, kParquetTail));
  if (length > size - kParquetTail - 4) throw invalid("its footer is longer than the file");
  if (length > kMaxFooter) throw invalid("its footer has {} bytes; at most {} are read", length, kMaxFooter);
  const ParquetInfo info = read_parquet_footer(reader.read(size - kParquetTail - length, length));
  json::array schema;
  for (const ParquetField& field : info.fields) {
    if (schema.size() == std::max<size_t>(limits.rows, 1'000)) break;
    json::object one{{"name", field.name}, {"depth", field.depth}, {"repetition", field.repetition}};
    if (!field.type.empty()) one["type"] = field.type;
    if (!field.logical.empty()) one["logical_type"] = field.logical;
    schema.push_back(std::move(one));
  }
  out["truncated"] = schema.size() < info.fields.size();
  out["schema"] = std::move(schema);
  out["rows_total"] = std::to_string(info.rows);
  out["row_groups"] = info.row_groups;
  out["uncompressed_size"] = std::to_string(info.bytes);
  if (!info.created_by.empty()) out["created_by"] = info.created_by;
  out["metadata_keys"] = json::array(info.metadata_keys.begin(), info.metadata_keys.end());
}

void show_npy(objects::Reader& reader, json::object& out) {
  const NpyHeader header = read_npy_header(reader.read(0, kDetectBytes));
  out["dtype"] = header.dtype;
  out["shape"] = json::array(header.shape.begin(), header.shape.end());
  out["fortran_order"] = header.fortran_order;
}

void show_archive(objects::Reader& reader, const PreviewLimits& limits, json::object& out) {
  const ArchiveList list = list_archive(reader, {.entries = limits.rows});
  json::array entries;
  for (const ArchiveEntry& entry : list.entries) {
    entries.push_back(json::object{{"name", entry.name}, {"kind", entry.kind}, {"size", std::to_string(entry.size)}});
  }
  out["format"] = list.format;
  if (!list.problem.empty()) out["problem"] = list.problem;
  out["entries"] = std::move(entries);
  out["truncated"] = list.truncated;
}

void show(objects::Reader& reader, const Detected& detected, const PreviewLimits& limits, json::object& out) {
  switch (detected.kind) {
    case Kind::Csv: return show_table(reader, detected, limits, out);
    case Kind::Json: return show_json(reader, limits, out);
    case Kind::JsonLines: return show_records(reader, limits, out);
    case Kind::Notebook: return show_notebook(reader, limits, out);
    case Kind::Parquet: return show_parquet(reader, limits, out);
    case Kind::Npy: return show_npy(reader, out);
    case Kind::Archive: return show_archive(reader, limits, out);
    case Kind::Markdown:
    case Kind::Text: {
      Head head = read_head(reader, limits.bytes, out);
      return show_text(out, std::move(head.text), head.cut);
    }
    case Kind::Empty:
    case Kind::Html:
    case Kind::Image:
    case Kind::Model:
    case Kind::Binary: return;
  }
}

}  // namespace

Detected detect(objects::Reader& reader, std::string_view file_name, std::string_view schema_title) {
  const std::string head = reader.read(0, kDetectBytes);
  return detect(head, head.size() < reader.size(), file_name, schema_title);
}

json::object preview(objects::Reader& reader, const Detected& detected, const PreviewLimits& limits) {
  json::object out{{"kind", to_string(detected.kind)},
                   {"media_type", detected.media_type},
                   {"size", std::to_string(reader.size())},
                   {"truncated", false}};
  if (!detected.format.empty()) out["format"] = detected.format;
  try {
    show(reader, detected, limits, out);
  } catch (const Error& error) {
    // The bytes are not what they look like; anything else is ours to report.
    if (error.code() != Code::InvalidArgument) throw;
    out["problem"] = error.message();
  }
  return out;
}

}  // namespace penstock::pipelines::preview
