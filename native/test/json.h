// As much JSON as the headers of test fixtures hold.
#ifndef SVDIT_TEST_JSON_H
#define SVDIT_TEST_JSON_H

#include <cctype>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace svdit::test {

struct Json {
  enum Kind { kNull, kNumber, kString, kArray, kObject } kind = kNull;
  double number = 0;  // true and false are 1 and 0
  std::string text;
  std::vector<Json> items;
  std::map<std::string, Json> fields;

  bool has(const std::string &name) const { return fields.count(name) != 0; }
  const Json &operator[](const std::string &name) const {
    const auto found = fields.find(name);
    if (found == fields.end()) throw std::runtime_error("no field " + name);
    return found->second;
  }
  int64_t integer() const { return (int64_t)number; }

  static Json parse(const std::string &source) {
    size_t at = 0;
    return value(source, at);
  }

 private:
  static void spaces(const std::string &s, size_t &at) {
    while (at < s.size() && std::isspace((unsigned char)s[at])) ++at;
  }
  static char peek(const std::string &s, size_t &at) {
    spaces(s, at);
    if (at >= s.size()) throw std::runtime_error("JSON ends early");
    return s[at];
  }
  static void expect(const std::string &s, size_t &at, char c) {
    if (peek(s, at) != c) throw std::runtime_error(std::string("JSON: expected ") + c);
    ++at;
  }
  static std::string string(const std::string &s, size_t &at) {
    expect(s, at, '"');
    std::string text;
    while (at < s.size() && s[at] != '"') {
      if (s[at] == '\\') ++at;  // the fixtures escape quotes and backslashes only
      text += s.at(at++);
    }
    expect(s, at, '"');
    return text;
  }
  static Json value(const std::string &s, size_t &at) {
    Json json;
    const char c = peek(s, at);
    if (c == '{' || c == '[') {
      json.kind = c == '{' ? kObject : kArray;
      const char end = c == '{' ? '}' : ']';
      ++at;
      while (peek(s, at) != end) {
        if (c == '{') {
          const std::string name = string(s, at);
          expect(s, at, ':');
          json.fields[name] = value(s, at);
        } else {
          json.items.push_back(value(s, at));
        }
        if (peek(s, at) == ',') ++at;
      }
      ++at;
    } else if (c == '"') {
      json.kind = kString;
      json.text = string(s, at);
    } else if (std::isalpha((unsigned char)c)) {
      std::string word;
      while (at < s.size() && std::isalpha((unsigned char)s[at])) word += s[at++];
      if (word != "null") {
        json.kind = kNumber;
        json.number = word == "true";
      }
    } else {
      json.kind = kNumber;
      char *end = nullptr;
      json.number = std::strtod(s.c_str() + at, &end);
      if (end == s.c_str() + at) throw std::runtime_error("JSON: expected a value");
      at = end - s.c_str();
    }
    return json;
  }
};

}  // namespace svdit::test

#endif
