import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useParams } from "react-router";
import { experimentQuery } from "../../api/queries";
import { useTranslator } from "../../i18n";
import { LinkButton } from "../../ui/Button";
import { ErrorNotice, Loading } from "../../ui/Notice";
import { Page } from "../../ui/Page";
import { RunList } from "../runs/RunsPage";

export function ExperimentPage() {
  const { t } = useTranslator();
  const { experiment: id = "" } = useParams();
  const query = useQuery(experimentQuery(id));
  const crumbs = [{ to: "/experiments", label: t("experiments.title") }];
  if (!query.data)
    return (
      <Page title={t("experiment.title")} crumbs={crumbs}>
        {query.error ? <ErrorNotice error={query.error} onRetry={() => query.refetch()} /> : <Loading />}
      </Page>
    );
  return (
    <Page
      title={query.data.display_name}
      crumbs={crumbs}
      beside={query.data.storage_state === "ARCHIVED" && <span className="tag">{t("runs.archived")}</span>}
      actions={
        <LinkButton to={`/runs/new?experiment=${id}`} look="primary">
          <Plus size={15} aria-hidden />
          {t("runs.new")}
        </LinkButton>
      }
    >
      {query.data.description && <p className="muted">{query.data.description}</p>}
      <RunList experiment={id} />
    </Page>
  );
}
