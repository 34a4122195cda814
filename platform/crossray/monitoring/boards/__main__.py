"""`python -m crossray.monitoring.boards serve/dashboards`: write the dashboards again."""

import sys
from pathlib import Path

from crossray.monitoring.boards import write

write(Path(sys.argv[1]))
