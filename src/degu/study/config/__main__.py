"""``python -m degu.study.config README``: write the table of keys into a README.

The table stands between the lines ``<!-- keys -->`` and ``<!-- /keys -->``.
"""

import sys

from degu.study.config.table import write_table

write_table(*sys.argv[1:])
