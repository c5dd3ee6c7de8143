"""``python -m sdespec``."""

import sys

try:
    from sdespec.cli import main
except ImportError as error:  # run from a checkout without its dependencies
    sys.exit(print(f"sdespec: error: {error}; install it with: pip install sdespec", file=sys.stderr) or 3)

sys.exit(main())
