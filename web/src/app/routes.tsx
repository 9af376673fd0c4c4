import { lazy } from "react";
import { Link, type RouteObject, useRouteError } from "react-router";
import type { LiveUpdates } from "../api/stream";
import { useTranslator } from "../i18n";
import { HomePage } from "../pages/home/HomePage";
import { RunsPage } from "../pages/runs/RunsPage";
import { Empty, ErrorNotice } from "../ui/Notice";
import { Page } from "../ui/Page";
import { Shell } from "./Shell";

// The first pages that people see come with the first load; the rest, with the graph, when they are gone to.
const RunPage = lazy(async () => ({ default: (await import("../pages/runs/RunPage")).RunPage }));
const NewRunPage = lazy(async () => ({ default: (await import("../pages/runs/NewRunPage")).NewRunPage }));
const PipelinesPage = lazy(async () => ({ default: (await import("../pages/pipelines/PipelinesPage")).PipelinesPage }));
const PipelinePage = lazy(async () => ({ default: (await import("../pages/pipelines/PipelinePage")).PipelinePage }));
const ExperimentsPage = lazy(async () => ({
  default: (await import("../pages/experiments/ExperimentsPage")).ExperimentsPage,
}));
const ExperimentPage = lazy(async () => ({
  default: (await import("../pages/experiments/ExperimentPage")).ExperimentPage,
}));
const RecurringRunsPage = lazy(async () => ({
  default: (await import("../pages/recurring/RecurringRunsPage")).RecurringRunsPage,
}));
const RecurringRunPage = lazy(async () => ({
  default: (await import("../pages/recurring/RecurringRunPage")).RecurringRunPage,
}));
const ArtifactsPage = lazy(async () => ({ default: (await import("../pages/artifacts/ArtifactsPage")).ArtifactsPage }));
const ArtifactPage = lazy(async () => ({ default: (await import("../pages/artifacts/ArtifactPage")).ArtifactPage }));
const ModelsPage = lazy(async () => ({ default: (await import("../pages/models/ModelsPage")).ModelsPage }));
const ModelPage = lazy(async () => ({ default: (await import("../pages/models/ModelPage")).ModelPage }));
const StoragePage = lazy(async () => ({ default: (await import("../pages/storage/StoragePage")).StoragePage }));
const BucketsPage = lazy(async () => ({ default: (await import("../pages/objects/BucketsPage")).BucketsPage }));
const BucketPage = lazy(async () => ({ default: (await import("../pages/objects/BucketPage")).BucketPage }));
const ComparePage = lazy(async () => ({ default: (await import("../pages/compare/ComparePage")).ComparePage }));
const ResourcesPage = lazy(async () => ({ default: (await import("../pages/resources/ResourcesPage")).ResourcesPage }));
const ObjectPage = lazy(async () => ({ default: (await import("../pages/resources/ObjectPage")).ObjectPage }));
const EditorPage = lazy(async () => ({ default: (await import("../pages/editor/EditorPage")).EditorPage }));

export const routes = (live: LiveUpdates): RouteObject[] => [
  {
    element: <Shell live={live} />,
    children: [
      {
        errorElement: <Broken />,
        children: [
          { index: true, element: <HomePage /> },
          { path: "pipelines", element: <PipelinesPage /> },
          { path: "pipelines/:pipeline", element: <PipelinePage /> },
          { path: "runs", element: <RunsPage /> },
          { path: "runs/new", element: <NewRunPage /> },
          { path: "runs/:run", element: <RunPage /> },
          { path: "experiments", element: <ExperimentsPage /> },
          { path: "experiments/:experiment", element: <ExperimentPage /> },
          { path: "recurring-runs", element: <RecurringRunsPage /> },
          { path: "recurring-runs/new", element: <NewRunPage key="recurring" recurring /> },
          { path: "recurring-runs/:recurring", element: <RecurringRunPage /> },
          { path: "artifacts", element: <ArtifactsPage /> },
          { path: "artifacts/:artifact", element: <ArtifactPage /> },
          { path: "models", element: <ModelsPage /> },
          { path: "models/:model", element: <ModelPage /> },
          { path: "storage", element: <StoragePage /> },
          { path: "objects", element: <BucketsPage /> },
          { path: "objects/:bucket", element: <BucketPage /> },
          { path: "compare", element: <ComparePage /> },
          { path: "resources", element: <ResourcesPage /> },
          { path: "resources/:kind", element: <ResourcesPage /> },
          { path: "resources/:kind/:namespace/:name", element: <ObjectPage /> },
          { path: "editor", element: <EditorPage /> },
          { path: "*", element: <NotFound /> },
        ],
      },
    ],
  },
];

function NotFound() {
  const { t } = useTranslator();
  return (
    <Page title={t("error.notFound")}>
      <Empty title={t("error.noPage")}>
        <Link to="/">{t("home.title")}</Link>
      </Empty>
    </Page>
  );
}

/** In place of a page that failed of itself. */
function Broken() {
  const error = useRouteError();
  return (
    <div className="page">
      <ErrorNotice error={error} onRetry={() => window.location.reload()} />
    </div>
  );
}
