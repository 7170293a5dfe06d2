"""An executor whose cluster is this machine: each submission is a process with a log of its own."""

import subprocess

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False
)


class Executor(RemoteExecutor):
    def run_job(self, job):
        log = f"cluster{job.jobid}.log"
        with open(log, "w") as file:
            process = subprocess.Popen(
                self.format_job_exec(job), shell=True, stdout=file, stderr=file
            )
        self.logger.info(f"Job {job.jobid} has been submitted as {process.pid} (log: {log}).")
        self.report_job_submission(
            SubmittedJobInfo(
                job, external_jobid=str(process.pid), aux={"process": process, "log": log}
            )
        )

    async def check_active_jobs(self, active_jobs):
        for info in active_jobs:
            ended = info.aux["process"].poll()
            if ended is None:
                yield info
            elif ended == 0:
                self.report_job_success(info)
            else:
                self.report_job_error(info, msg="it failed", aux_logs=[info.aux["log"]])

    def cancel_jobs(self, active_jobs):
        for info in active_jobs:
            info.aux["process"].kill()
