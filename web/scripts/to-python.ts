import { readFileSync } from "node:fs";
import type { PipelineSpec } from "../src/graph/spec";
import { toPython } from "../src/pages/editor/toPython";

// to-python.ts FILE: reads a JSON list of pipeline specifications and writes the list of their Python texts, as the editor
// exports them.

const specs = JSON.parse(readFileSync(process.argv.at(-1) as string, "utf8")) as PipelineSpec[];
process.stdout.write(JSON.stringify(specs.map(toPython)));
