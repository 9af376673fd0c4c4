// `depends` of a dag's task: names of siblings with or without a result, !, &&, || and parentheses.
#include "pipelines/argo/translator.h"

namespace penstock::argo {

namespace {

constexpr int kMaxNesting = 100;

uint32_t result_of(std::string_view name) {
  if (name == "Succeeded") return ir::kSucceeded;
  if (name == "Failed") return ir::kFailed;
  if (name == "Errored") return ir::kErrored;
  if (name == "Skipped") return ir::kSkipped;
  if (name == "Omitted") return ir::kOmitted;
  if (name == "AnySucceeded") return ir::kAnySucceeded;
  if (name == "AllFailed") return ir::kAllFailed;
  if (name == "Daemoned") return ir::kDaemoned;
  return 0;
}

class DependsParser {
 public:
  DependsParser(std::string_view text, const TaskNames& names, const std::vector<uint32_t>& tolerated,
                std::vector<int>& upstream, const std::string& path)
      : text_(text), names_(names), tolerated_(tolerated), upstream_(upstream), path_(path) {}

  ir::Depends run() {
    ir::Depends result = any();
    if (at_ < text_.size()) fail("unexpected text");
    return result;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw invalid("{}: {} at \"{}\"", path_, what, text_.substr(at_, 40));
  }

  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }

  bool take(std::string_view token) {
    space();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    space();
    return true;
  }

  ir::Depends chain(std::string_view token, ir::Depends::Kind kind, ir::Depends (DependsParser::*part)()) {
    ir::Depends first = (this->*part)();
    if (!text_.substr(at_).starts_with(token)) return first;
    ir::Depends all{.kind = kind};
    all.children.push_back(std::move(first));
    while (take(token)) all.children.push_back((this->*part)());
    return all;
  }

  ir::Depends any() { return chain("||", ir::Depends::Kind::Or, &DependsParser::all); }
  ir::Depends all() { return chain("&&", ir::Depends::Kind::And, &DependsParser::unary); }

  ir::Depends unary() {
    if (++depth_ > kMaxNesting) fail("it is nested too deeply");
    ir::Depends result;
    if (take("!")) {
      result.kind = ir::Depends::Kind::Not;
      result.children.push_back(unary());
    } else if (take("(")) {
      result = any();
      if (!take(")")) fail("a closing parenthesis is missing");
    } else {
      result = operand();
    }
    --depth_;
    return result;
  }

  std::string_view word() {
    const size_t begin = at_;
    auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_'; };
    while (at_ < text_.size() && is_part(text_[at_])) ++at_;
    if (begin == at_) fail("the name of a task is missing");
    return text_.substr(begin, at_ - begin);
  }

  ir::Depends operand() {
    space();
    const auto name = word();
    const auto found = names_.find(name);
    if (found == names_.end()) throw invalid("{}: there is no task \"{}\"", path_, name);
    const int task = found->second;
    upstream_.push_back(task);
    ir::Depends result = after(task, tolerated_[static_cast<size_t>(task)]);
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      const auto wanted = word();
      result.results = result_of(wanted);
      if (result.results == 0) throw invalid("{}: \"{}\" is no result of a task that is supported", path_, wanted);
    }
    space();
    return result;
  }

  std::string_view text_;
  const TaskNames& names_;
  const std::vector<uint32_t>& tolerated_;
  std::vector<int>& upstream_;
  const std::string& path_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

ir::Depends after(int task, uint32_t tolerated) {
  return {.kind = ir::Depends::Kind::Result,
          .task = task,
          .results = ir::kSucceeded | ir::kSkipped | ir::kDaemoned | tolerated};
}

ir::Depends parse_depends(std::string_view text, const TaskNames& names, const std::vector<uint32_t>& tolerated,
                          std::vector<int>& upstream, const std::string& path) {
  return DependsParser(text, names, tolerated, upstream, path).run();
}

}  // namespace penstock::argo
