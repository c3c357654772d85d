"""Run a recipe in ClickHouse without a server: `run_recipe.py SQL VALUES REGISTRY` prints what its last query gives.

The queue has the engine Null instead of Kafka, which chdb cannot start. What is put in reaches the views as it does
there: read as AvroConfluent into the columns that the recipe declares.
"""

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from chdb.session import Session

FILL = """
INSERT INTO delivery_queue SELECT * FROM file('{}', AvroConfluent, $${}$$)
SETTINGS format_avro_schema_registry_url = '{}'
"""

recipe, values, registry = sys.argv[1:]
text = re.sub(r"(?m)^--.*$", "", Path(recipe).read_text("utf-8"))
*made, query = [statement for statement in text.split(";") if statement.strip()]

with TemporaryDirectory() as folder:
    house = Session(folder)
    for statement in made:
        house.query(re.sub(r"ENGINE = Kafka\nSETTINGS.*", "ENGINE = Null", statement, flags=re.DOTALL))
    columns = str(house.query("SELECT name, type FROM system.columns WHERE table = 'delivery_queue'", "TSVRaw"))
    structure = ", ".join("`{}` {}".format(*line.split("\t")) for line in columns.splitlines())
    house.query(FILL.format(values, structure, registry))
    print(house.query(query, "JSONCompactEachRow"))
    print(house.query("SELECT * FROM delivery ORDER BY event_id LIMIT 1", "JSONEachRow"))
    house.close()
