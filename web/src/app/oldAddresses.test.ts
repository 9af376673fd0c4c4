import { describe, expect, test } from "vitest";
import { addressOf } from "./oldAddresses";

describe("an address of the reference's dashboard", () => {
  test.each([
    ["#/runs/details/0a-1", "/runs/0a-1"],
    ["#/experiments/details/e1", "/experiments/e1"],
    ["#/pipelines/details/p1/version/v1?x=1", "/pipelines/p1?version=v1"],
    ["#/pipelines/details/p1", "/pipelines/p1"],
    ["#/recurringrun/details/r1", "/recurring-runs/r1"],
    ["#/runs", "/runs"],
    ["#/artifacts/7", "/artifacts/7"],
  ])("%s leads to %s", (hash, page) => expect(addressOf(hash)).toBe(page));

  test.each(["", "#main", "#/nowhere", "#/runs/details/../../x"])("%s is none", (hash) =>
    expect(addressOf(hash)).toBeUndefined(),
  );
});
