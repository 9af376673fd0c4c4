// The dashboard's files, as they were when the program was built.
#pragma once

#include <span>

#include "http/static_files.h"

namespace penstock::server {

// With "/index.html", which is a page that says so where the program was built without a dashboard.
std::span<const http::StaticFile> web_files();

}  // namespace penstock::server
