import { common } from "./common";
import { pipelines } from "./pipelines";
import { runs } from "./runs";

// Each part of the dashboard has a file of messages; here they become one table a language.
export const en = { ...common.en, ...pipelines.en, ...runs.en };

export const ko: Record<keyof typeof en, string> = { ...common.ko, ...pipelines.ko, ...runs.ko };
