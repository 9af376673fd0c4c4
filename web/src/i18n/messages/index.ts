import { artifacts } from "./artifacts";
import { common } from "./common";
import { editor } from "./editor";
import { experiments } from "./experiments";
import { home } from "./home";
import { models } from "./models";
import { objects } from "./objects";
import { pipelines } from "./pipelines";
import { recurring } from "./recurring";
import { resources } from "./resources";
import { runs } from "./runs";
import { storage } from "./storage";

// Each part of the dashboard has a file of messages; here they become one table a language.
export const en = {
  ...artifacts.en,
  ...common.en,
  ...editor.en,
  ...experiments.en,
  ...home.en,
  ...models.en,
  ...objects.en,
  ...pipelines.en,
  ...recurring.en,
  ...resources.en,
  ...runs.en,
  ...storage.en,
};

export const ko: Record<keyof typeof en, string> = {
  ...artifacts.ko,
  ...common.ko,
  ...editor.ko,
  ...experiments.ko,
  ...home.ko,
  ...models.ko,
  ...objects.ko,
  ...pipelines.ko,
  ...recurring.ko,
  ...resources.ko,
  ...runs.ko,
  ...storage.ko,
};
