#include <doctest/doctest.h>

#include "node/python_imports.h"

using namespace penstock::node;
using Statements = std::vector<std::string>;

TEST_CASE("imports: the statements of a source") {
  CHECK(imports_of("") == Statements{});
  CHECK(imports_of("import kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n") ==
        Statements{"import kfp", "from kfp import dsl", "from kfp.dsl import *", "from typing import *"});
  CHECK(imports_of("def f():\n    import numpy as np, pandas\n\timport  a.b.c  # why\n    import numpy; x = 1") ==
        Statements{"import numpy", "import pandas", "import a.b.c"});
  CHECK(
      imports_of("from sklearn.svm import SVC as S, LinearSVC\r\nfrom x import (a, b,)\nfrom y import (\n  c,\n d)") ==
      Statements{"from sklearn.svm import SVC, LinearSVC", "from x import a, b", "import y"});
}

TEST_CASE("imports: what is none") {
  for (const char* line : {"from . import x", "from .a import b", "from __future__ import annotations", "important = 1",
                           "import", "from x", "from x import", "import a b", "import 1a", "import a..b", "import a as",
                           "imports a", "from here to there", "print('import x')", "x = 'from a import b'",
                           "# import a", "import a, ", "from a import b c"}) {
    CAPTURE(line);
    CHECK(imports_of(line) == Statements{});
  }
}

TEST_CASE("imports: sources that change what imports do") {
  for (const char* line :
       {"sys.path.insert(0, 'x')", "sys.path += ['x']", "sys.modules['a'] = b", "os.environ['A'] = '1'",
        "os.environ.setdefault('A', '1')", "os.environ.update(a)", "os.environ |= a", "env = os.environ",
        "from os import environ", "f(os.environ)", "del os.environ['A']", "os.environ['A'] += 'x'",
        "os.putenv('A', 'b')", "dotenv.load_dotenv()", "os.environ [ 'A' ]  = '1'", "os.environ.pop('A')",
        "os.environ['A"}) {
    CAPTURE(line);
    CHECK(prepares_imports(line));
  }
  for (const char* line :
       {"x = os.environ['A']", "os.environ.get('A')", "if os.environ['A'] == 'x':", "'A' in os.environ",
        "subprocess.run(x, env={**os.environ, 'A': '1'})", "dict(os.environ)", "os.environ.copy()", "environment = 1",
        "my_sys.pathology", "x = f(os.environ['A'])", "sys.argv", "os.path.join(a)", ""}) {
    CAPTURE(line);
    CHECK_FALSE(prepares_imports(line));
  }
}
