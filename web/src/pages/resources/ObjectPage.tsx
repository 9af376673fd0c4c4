import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Pencil, Save, Trash2 } from "lucide-react";
import { useState } from "react";
import { useNavigate, useParams } from "react-router";
import { parse, stringify } from "yaml";
import { type ApiResource, deleteObject, objectQuery, replaceObject } from "../../api/kube";
import type { JsonObject } from "../../api/types";
import { useTranslator } from "../../i18n";
import { Button } from "../../ui/Button";
import { ConfirmDialog } from "../../ui/Dialog";
import { ErrorNotice, errorText, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { useKind } from "./ResourcesPage";

export function ObjectPage() {
  const { t } = useTranslator();
  const { namespace = "", name = "" } = useParams();
  const { query, kind, resource } = useKind();
  const crumbs = [{ to: `/resources/${kind}`, label: resource?.kind ?? t("resources.title") }];
  if (!resource)
    return (
      <Page title={name} crumbs={crumbs}>
        {query.error ? <ErrorNotice error={query.error} /> : <Loading />}
      </Page>
    );
  return <Loaded resource={resource} kind={kind} namespace={namespace === "-" ? "" : namespace} name={name} />;
}

interface Props {
  resource: ApiResource;
  kind: string;
  namespace: string;
  name: string;
}

function Loaded({ resource, kind, namespace, name }: Props) {
  const { t } = useTranslator();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(objectQuery(resource, namespace, name));
  const [draft, setDraft] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const [asking, setAsking] = useState(false);
  const secret = resource.kind === "Secret";
  async function save() {
    setProblem(undefined);
    try {
      await replaceObject(resource, namespace, name, parse(draft ?? "") as JsonObject);
      await queries.invalidateQueries({ queryKey: ["resource"] });
      setDraft(undefined);
    } catch (error) {
      setProblem(errorText(error, t));
    }
  }
  return (
    <Page
      title={name}
      crumbs={[{ to: `/resources/${kind}`, label: resource.kind }]}
      beside={namespace && <span className="tag">{namespace}</span>}
      actions={
        <>
          {draft === undefined && resource.verbs.includes("update") && !secret && query.data && (
            <Button onPress={() => setDraft(stringify(query.data, { lineWidth: 0 }))}>
              <Pencil size={15} aria-hidden />
              {t("action.edit")}
            </Button>
          )}
          {draft !== undefined && (
            <>
              <Button onPress={() => setDraft(undefined)}>{t("action.cancel")}</Button>
              <Button look="primary" onPress={save}>
                <Save size={15} aria-hidden />
                {t("action.save")}
              </Button>
            </>
          )}
          {resource.verbs.includes("delete") && (
            <Button onPress={() => setAsking(true)}>
              <Trash2 size={15} aria-hidden />
              {t("action.delete")}
            </Button>
          )}
        </>
      }
    >
      {query.error && <ErrorNotice error={query.error} onRetry={() => query.refetch()} />}
      {query.isPending && <Loading />}
      {secret && <p className="muted">{t("resources.secret")}</p>}
      {problem !== undefined && (
        <div role="alert" className="notice failed">
          <pre>{problem}</pre>
        </div>
      )}
      {query.data &&
        (draft === undefined ? (
          <pre className="code-block grow" tabIndex={0}>
            {stringify(query.data, { lineWidth: 0 })}
          </pre>
        ) : (
          <textarea
            className="code-block grow mono"
            aria-label={t("resources.yaml")}
            spellCheck={false}
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
          />
        ))}
      {asking && (
        <ConfirmDialog
          title={t("resources.delete.title", { name })}
          action={t("action.delete")}
          danger
          onClose={() => setAsking(false)}
          onConfirm={async () => {
            await deleteObject(resource, namespace, name);
            await queries.invalidateQueries({ queryKey: ["resource", "table"] });
            navigate(`/resources/${kind}`);
          }}
        >
          <p>{t("resources.delete.text")}</p>
        </ConfirmDialog>
      )}
    </Page>
  );
}
