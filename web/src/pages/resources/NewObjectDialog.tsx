import { useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { parse } from "yaml";
import { type ApiResource, createObject } from "../../api/kube";
import type { JsonObject } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { Dialog } from "../../ui/Dialog";
import { errorText } from "../../ui/Notice";

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
  const [problem, setProblem] = useState<string>();
  async function submit(event: FormEvent) {
    event.preventDefault();
    setProblem(undefined);
    try {
      const object = parse(text) as JsonObject;
      const metadata = object?.metadata as JsonObject | undefined;
      await createObject(resource, String(metadata?.namespace ?? namespace), object);
      await queries.invalidateQueries({ queryKey: ["resource", "table"] });
      onClose();
    } catch (error) {
      setProblem(errorText(error, t));
    }
  }
  return (
    <Dialog title={t("resources.new", { kind: resource.kind })} wide onClose={onClose}>
      <form className="stack" onSubmit={submit}>
        <div className="field">
          <textarea
            aria-label={t("resources.yaml")}
            rows={16}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        </div>
        {problem !== undefined && (
          <p role="alert" className="problem-text">
            {problem}
          </p>
        )}
        <div className="buttons">
          <Button onPress={onClose}>{t("action.cancel")}</Button>
          <Button look="primary" type="submit">
            {t("action.create")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
