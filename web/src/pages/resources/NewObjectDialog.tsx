import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { parse } from "yaml";
import { type ApiResource, createObject } from "../../api/kube";
import type { JsonObject } from "../../api/types";
import { useTranslator } from "../../i18n";
import { FormDialog } from "../../ui/Dialog";

interface Props {
  resource: ApiResource;
  namespace: string;
  onClose(): void;
}

/** Makes an object of the YAML that is typed. */
export function NewObjectDialog({ resource, namespace, onClose }: Props) {
  const { t } = useTranslator();
  const queries = useQueryClient();
  const [text, setText] = useState(
    `apiVersion: ${resource.groupVersion}\nkind: ${resource.kind}\nmetadata:\n  name: \n${
      resource.namespaced ? `  namespace: ${namespace}\n` : ""
    }`,
  );
  async function submit() {
    const object = parse(text) as JsonObject;
    const metadata = object?.metadata as JsonObject | undefined;
    await createObject(resource, String(metadata?.namespace ?? namespace), object);
    await queries.invalidateQueries({ queryKey: ["resource", "table"] });
  }
  return (
    <FormDialog
      title={t("resources.new", { kind: resource.kind })}
      wide
      action={t("action.create")}
      onClose={onClose}
      onSubmit={submit}
    >
      <div className="field">
        <textarea
          aria-label={t("resources.yaml")}
          rows={16}
          spellCheck={false}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </div>
    </FormDialog>
  );
}
