// The one translation unit that holds Beast's code.
#include <boost/beast/src.hpp>
