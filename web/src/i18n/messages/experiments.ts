import { define } from "../define";

export const experiments = define(
  {
    "experiments.delete.text": "Their runs go too. This can't be undone.",
    "experiments.delete.title": "Delete {count} experiment(s)?",
    "experiments.lastRun": "Last run",
    "experiments.new": "New experiment",
    "experiments.none": "There are no experiments",
    "experiments.search": "Search experiments by name",
    "experiments.title": "Experiments",
  },
  {
    "experiments.delete.text": "실행도 함께 삭제되며 되돌릴 수 없습니다.",
    "experiments.delete.title": "실험 {count}개를 삭제할까요?",
    "experiments.lastRun": "마지막 실행",
    "experiments.new": "새 실험",
    "experiments.none": "실험이 없습니다",
    "experiments.search": "이름으로 실험 검색",
    "experiments.title": "실험",
  },
);
