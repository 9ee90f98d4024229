#include "places.h"

namespace svdit::sim {
namespace {
Places *active = nullptr;
}

Place::Place(const char *name, const std::source_location &site)
    : line(site.line()), column(site.column()), file(site.file_name()), primitive(name) {
  file.remove_prefix(file.rfind('/') + 1);
}

std::string Place::text() const {
  return std::string(primitive) + " (" + std::string(file) + ":" + std::to_string(line) + ")";
}

Places::Places(const Place *left_out) : left_out_(left_out) { active = this; }
Places::~Places() { active = nullptr; }

bool left_out(const char *primitive, const std::source_location &site) {
  if (active == nullptr) return false;
  const Place place(primitive, site);
  active->found_.insert(place);
  return active->left_out_ != nullptr && *active->left_out_ == place;
}

}  // namespace svdit::sim
