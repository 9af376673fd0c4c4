#include "pipelines/preview/parquet.h"

#include "base/error.h"
#include "base/utf8.h"

namespace penstock::pipelines::preview {

namespace {

constexpr int kMaxDepth = 100;
constexpr size_t kMaxFields = 20'000;
constexpr size_t kMaxName = 1'000;

// Thrift's compact protocol. Every element of a list takes a byte at least, so that counts are bounded by what is left.
class Compact {
 public:
  enum Type {
    Stop = 0,
    True = 1,
    False = 2,
    Byte = 3,
    I16 = 4,
    I32 = 5,
    I64 = 6,
    Double = 7,
    Binary = 8,
    List = 9,
    Set = 10,
    Map = 11,
    Struct = 12
  };

  explicit Compact(std::string_view bytes) : bytes_(bytes) {}

  // Calls `field(id, type)` for each field of a struct; it must read the value, or skip() it.
  template <class Field>
  void read_struct(Field field) {
    const Nesting nesting(*this);
    int64_t id = 0;
    while (true) {
      const uint8_t head = byte();
      const int type = head & 0x0f;
      if (type == Stop) return;
      id = (head >> 4) != 0 ? id + (head >> 4) : zigzag();
      field(id, type);
    }
  }
  template <class Item>
  void read_list(Item item) {
    const Nesting nesting(*this);
    const uint8_t head = byte();
    const uint64_t size = (head >> 4) == 15 ? varint() : head >> 4;
    if (size > left()) fail("a list is longer than the footer");
    for (uint64_t i = 0; i < size; ++i) item(head & 0x0f);
  }
  int64_t integer(int type) {
    if (type == Byte) return static_cast<int8_t>(byte());
    if (type != I16 && type != I32 && type != I64) fail("a number is expected");
    return zigzag();
  }
  std::string_view binary(int type) {
    if (type != Binary) fail("a text is expected");
    const uint64_t size = varint();
    if (size > left()) fail("a text is longer than the footer");
    const std::string_view out = bytes_.substr(at_, size);
    at_ += size;
    return out;
  }
  void skip(int type) {
    switch (type) {
      case True:
      case False: return;
      case Byte: byte(); return;
      case I16:
      case I32:
      case I64: varint(); return;
      case Double: advance(8); return;
      case Binary: binary(type); return;
      case List:
      case Set: read_list([this](int inner) { skip_item(inner); }); return;
      case Map: skip_map(); return;
      case Struct: read_struct([this](int64_t, int inner) { skip(inner); }); return;
      default: fail("a type is unknown");
    }
  }
  [[noreturn]] void fail(std::string_view why) const {
    throw invalid("the Parquet footer is damaged at its byte {}: {}", at_, why);
  }

 private:
  struct Nesting {
    explicit Nesting(Compact& c) : compact(c) {
      if (++compact.depth_ > kMaxDepth) compact.fail("it is nested too deep");
    }
    ~Nesting() { --compact.depth_; }
    Compact& compact;
  };
  // Truth values are a byte each inside of lists.
  void skip_item(int type) {
    if (type == True || type == False) {
      byte();
    } else {
      skip(type);
    }
  }
  void skip_map() {
    const Nesting nesting(*this);
    const uint64_t size = varint();
    if (size == 0) return;
    if (size > left()) fail("a map is longer than the footer");
    const uint8_t types = byte();
    for (uint64_t i = 0; i < size; ++i) {
      skip_item(types >> 4);
      skip_item(types & 0x0f);
    }
  }
  size_t left() const { return bytes_.size() - at_; }
  void advance(size_t count) {
    if (count > left()) fail("it ends too early");
    at_ += count;
  }
  uint8_t byte() {
    advance(1);
    return static_cast<uint8_t>(bytes_[at_ - 1]);
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t one = byte();
      value |= static_cast<uint64_t>(one & 0x7f) << shift;
      if ((one & 0x80) == 0) return value;
    }
    fail("a number is too long");
  }
  int64_t zigzag() {
    const uint64_t value = varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  std::string_view bytes_;
  size_t at_ = 0;
  int depth_ = 0;
};

template <size_t N>
std::string name_in(const std::string_view (&names)[N], int64_t number) {
  if (number < 0 || number >= static_cast<int64_t>(N)) return fmt::format("UNKNOWN({})", number);
  return std::string(names[number]);
}

constexpr std::string_view kTypes[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                       "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
constexpr std::string_view kRepetitions[] = {"REQUIRED", "OPTIONAL", "REPEATED"};
constexpr std::string_view kConverted[] = {"STRING",
                                           "MAP",
                                           "MAP_KEY_VALUE",
                                           "LIST",
                                           "ENUM",
                                           "DECIMAL",
                                           "DATE",
                                           "TIME(MILLIS)",
                                           "TIME(MICROS)",
                                           "TIMESTAMP(MILLIS)",
                                           "TIMESTAMP(MICROS)",
                                           "UINT(8)",
                                           "UINT(16)",
                                           "UINT(32)",
                                           "UINT(64)",
                                           "INT(8)",
                                           "INT(16)",
                                           "INT(32)",
                                           "INT(64)",
                                           "JSON",
                                           "BSON",
                                           "INTERVAL"};
constexpr std::string_view kLogical[] = {"",          "STRING", "MAP", "LIST",    "ENUM", "DECIMAL", "DATE", "TIME",
                                         "TIMESTAMP", "",       "INT", "UNKNOWN", "JSON", "BSON",    "UUID", "FLOAT16"};

std::string short_text(std::string_view text) { return to_utf8(text.substr(0, kMaxName)); }

// The union LogicalType: one field, whose number is the type and whose value tells its unit or width.
std::string read_logical(Compact& in) {
  std::string name;
  in.read_struct([&](int64_t id, int type) {
    name = name_in(kLogical, id);
    const bool timed = id == 7 || id == 8;
    if (type != Compact::Struct) return in.skip(type);
    bool is_signed = true;
    int64_t bits = 0, unit = 0;
    in.read_struct([&](int64_t inner, int inner_type) {
      if (timed && inner == 2 && inner_type == Compact::Struct) {
        in.read_struct([&](int64_t which, int last) {
          unit = which;
          in.skip(last);
        });
      } else if (id == 10 && inner == 1) {
        bits = in.integer(inner_type);
      } else {
        if (id == 10 && inner == 2) is_signed = inner_type == Compact::True;
        in.skip(inner_type);
      }
    });
    constexpr std::string_view kUnits[] = {"", "MILLIS", "MICROS", "NANOS"};
    if (timed) name += fmt::format("({})", name_in(kUnits, unit));
    if (id == 10) name = fmt::format("{}INT({})", is_signed ? "" : "U", bits);
  });
  return name;
}

struct Element {
  ParquetField field;
  int64_t children = 0;
};

Element read_element(Compact& in) {
  Element out;
  std::string converted;
  int64_t scale = 0, precision = 0;
  in.read_struct([&](int64_t id, int type) {
    switch (id) {
      case 1: out.field.type = name_in(kTypes, in.integer(type)); break;
      case 3: out.field.repetition = name_in(kRepetitions, in.integer(type)); break;
      case 4: out.field.name = short_text(in.binary(type)); break;
      case 5: out.children = in.integer(type); break;
      case 6: converted = name_in(kConverted, in.integer(type)); break;
      case 7: scale = in.integer(type); break;
      case 8: precision = in.integer(type); break;
      case 10:
        if (type != Compact::Struct) in.fail("a logical type is no struct");
        out.field.logical = read_logical(in);
        break;
      default: in.skip(type);
    }
  });
  if (out.field.logical.empty()) out.field.logical = converted;
  if (out.field.logical == "DECIMAL") out.field.logical = fmt::format("DECIMAL({},{})", precision, scale);
  return out;
}

// The schema is a tree written depth first; each group says how many children follow.
void read_schema(Compact& in, std::vector<ParquetField>& fields) {
  std::vector<int64_t> open;  // children that are still to come
  in.read_list([&](int type) {
    if (type != Compact::Struct) in.fail("the schema is no list of structs");
    Element element = read_element(in);
    while (!open.empty() && open.back() == 0) open.pop_back();
    element.field.depth = static_cast<int>(open.size());
    if (!open.empty()) --open.back();
    if (element.children < 0) in.fail("a group has less than no fields");
    if (element.children > 0) {
      if (open.size() == kMaxDepth) in.fail("the schema is nested too deep");
      open.push_back(element.children);
    }
    if (fields.size() == kMaxFields) in.fail("the schema has too many fields");
    fields.push_back(std::move(element.field));
  });
  if (!fields.empty()) fields.erase(fields.begin());  // the root
}

void read_row_groups(Compact& in, ParquetInfo& info) {
  in.read_list([&](int type) {
    if (type != Compact::Struct) in.fail("the row groups are no list of structs");
    ++info.row_groups;
    in.read_struct([&](int64_t id, int inner) {
      if (id == 2) {
        // Only shown: a wrapped sum does no harm.
        info.bytes = static_cast<int64_t>(static_cast<uint64_t>(info.bytes) + static_cast<uint64_t>(in.integer(inner)));
      } else {
        in.skip(inner);
      }
    });
  });
}

void read_metadata_keys(Compact& in, std::vector<std::string>& keys) {
  in.read_list([&](int type) {
    if (type != Compact::Struct) in.fail("the metadata is no list of structs");
    in.read_struct([&](int64_t id, int inner) {
      if (id == 1 && keys.size() < 100) {
        keys.push_back(short_text(in.binary(inner)));
      } else {
        in.skip(inner);
      }
    });
  });
}

}  // namespace

uint32_t parquet_footer_length(std::string_view tail) {
  if (tail.size() == kParquetTail && tail.ends_with("PARE")) throw invalid("the Parquet file's footer is encrypted");
  if (tail.size() != kParquetTail || !tail.ends_with("PAR1")) throw invalid("it does not end as a Parquet file does");
  uint32_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | static_cast<uint8_t>(tail[static_cast<size_t>(i)]);
  return length;
}

ParquetInfo read_parquet_footer(std::string_view footer) {
  Compact in(footer);
  ParquetInfo info;
  in.read_struct([&](int64_t id, int type) {
    const bool list = type == Compact::List;
    switch (id) {
      case 1: info.version = in.integer(type); break;
      case 3: info.rows = in.integer(type); break;
      case 2: list ? read_schema(in, info.fields) : in.skip(type); break;
      case 4: list ? read_row_groups(in, info) : in.skip(type); break;
      case 5: list ? read_metadata_keys(in, info.metadata_keys) : in.skip(type); break;
      case 6: info.created_by = short_text(in.binary(type)); break;
      default: in.skip(type);
    }
  });
  return info;
}

}  // namespace penstock::pipelines::preview
