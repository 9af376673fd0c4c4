// The one translation unit that holds the header-only libraries' code.
#include <boost/asio/impl/src.hpp>
#include <boost/json/src.hpp>
